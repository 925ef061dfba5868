# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""Hook of mkdocs.yml: the site has the folders of the repository, so links are right in both."""
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

REPOSITORY = Path(__file__).resolve().parents[1]
#: The repository, and what `make docs` has made.
ROOTS = (REPOSITORY, REPOSITORY / 'build/pages')
PATTERNS = ('*.md', 'benchmarks/*.md', 'configs/**/*.*', 'docs/**/*.*')


def on_files(files: Files, config: Any) -> Files:
    """Put every file where it is in the repository, beside those of the theme."""
    ours = [File.generated(config, path.relative_to(root).as_posix(), abs_src_path=str(path))
            for root in ROOTS for pattern in PATTERNS for path in sorted(root.glob(pattern))
            if '__pycache__' not in path.parts]
    return Files([file for file in files if file.src_dir != config.docs_dir] + ours)


def on_page_markdown(text: str, **kwargs: Any) -> str:
    """Lead to the quickstart with its outputs."""
    return text.replace('quickstart.ipynb)', 'quickstart.md)')
