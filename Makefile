# make demo   environment (first time), then the demo on real handwritten digits
# make test   environment (first time, builds mmcv's ops), ruff, mypy, the site, pytest
# make lint   ruff and mypy alone;  make docs   the site alone, in build/site
# make clean  forget environments and results
PYTHON ?= python3
JOBS ?= 2
PYTEST_ARGS ?= -n $(JOBS)
DEMO_ARGS ?=

VENVS := .venv
# An environment is complete when it holds the stamp of these very requirements, in this folder.
KEY := $(shell (pwd; cat setup.py requirements/*) | cksum | cut -d' ' -f1)

.PHONY: demo test lint docs clean demo-env test-env
.SUFFIXES:

demo: demo-env
	@$(VENVS)/demo/bin/python tools/demo.py $(DEMO_ARGS)

# pytest comes last: its summary is the last line printed.
test: lint docs
	@OMP_NUM_THREADS=1 $(VENVS)/test/bin/python -m pytest $(PYTEST_ARGS)

lint: test-env
	@$(VENVS)/test/bin/python -m ruff check --quiet .
	@$(VENVS)/test/bin/python -m mypy --no-error-summary

# Runs the quickstart; a link to nothing, in a page or out of docs/, is an error (but not with
# mkdocs's --quiet, which would keep --strict from counting it).
docs: test-env
	@OMP_NUM_THREADS=1 $(VENVS)/test/bin/python -m nbconvert --log-level WARN --to markdown \
		--execute --output-dir build/pages/docs docs/quickstart.ipynb
	@NO_MKDOCS_2_WARNING=1 $(VENVS)/test/bin/python -m mkdocs build --strict

demo-env: $(VENVS)/demo/.stamp-$(KEY)
test-env: $(VENVS)/test/.stamp-$(KEY)

$(VENVS)/%/.stamp-$(KEY):
	@PYTHON='$(PYTHON)' MAX_JOBS='$(JOBS)' VENVS='$(VENVS)' STAMP='$@' bash requirements/install.sh $*

clean:
	rm -rf $(VENVS) build dist mmips.egg-info mmips/.mim .mypy_cache .ruff_cache .pytest_cache \
		.hypothesis work_dirs/demo
