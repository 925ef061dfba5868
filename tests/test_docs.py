"""What READMEs, docs, docstrings of configs and metafiles name is there."""
import ast
import contextlib
import functools
import importlib
import io
import json
import re
import runpy
import shlex
import sys
from pathlib import Path

import pytest
import test_methods
import yaml
from helpers.configs import ROOT
from helpers.tools import run

import mmips
import mmips.registry

FOLDERS = ('benchmarks', 'configs', 'docs', 'mmips', 'requirements', 'tests', 'tools')
PAGES = sorted(
    path.relative_to(ROOT).as_posix()
    for path in [*ROOT.glob('*.md'), *(page for name in ('benchmarks', 'configs', 'docs', 'tools')
                                       for page in (ROOT / name).rglob('*.md'))])
CONFIGS = sorted(path.relative_to(ROOT).as_posix()
                 for path in (ROOT / 'configs').rglob('*.py') if '_base_' not in path.parts)
METAFILES = sorted(
    path.relative_to(ROOT).as_posix() for path in (ROOT / 'configs').rglob('metafile.yml'))


def read(name):
    return (ROOT / name).read_text(encoding='utf-8')


def code_blocks(text, *languages):
    """Contents of the fenced blocks of one of the languages."""
    blocks = re.findall(r'^```(\w*)\n(.*?)^```', text, re.DOTALL | re.MULTILINE)
    return [block for language, block in blocks if language in languages]


def commands(text):
    """Shell commands of a page, continued lines joined, comments and prompts left out."""
    lines = '\n'.join(code_blocks(text, 'shell', 'bash', 'sh', 'console')).replace('\\\n', ' ')
    found = (line.strip().removeprefix('$ ') for line in lines.splitlines())
    return [line for line in found if line and not line.startswith('#')]


def inline_code(text):
    return re.findall(r'(?<!`)`([^`\n]+)`(?!`)', re.sub(r'^```.*?^```', '', text,
                                                        flags=re.DOTALL | re.MULTILINE))


def missing_paths(text):
    """Words of ``text`` that read like a path of this repository but lead nowhere."""
    folders = '|'.join(FOLDERS)
    words = re.findall(rf'(?<![\w./:-])(?:\./)?((?:{folders})/[\w./*{{}},<>-]*)', text)
    words = [word.rstrip('.,') for word in words]
    # Patterns with placeholders are not names of files.
    return [word for word in words
            if not re.search(r'[<>{}]', word) and not list(ROOT.glob(word.rstrip('/')))]


@pytest.mark.parametrize('page', PAGES)
def test_paths_in_commands_and_code_exist(page):
    # But for a file that the page shows how to write.
    text = re.sub(r'`[^`\n]+`(?=:\n\n```)', '', read(page))
    assert missing_paths('\n'.join([*commands(text), *inline_code(text)])) == []


@pytest.mark.parametrize('page', PAGES)
def test_links_lead_somewhere(page):
    # Code is no prose: `a[0](x)` is not a link.
    text = re.sub(r'^```.*?^```|`[^`\n]+`', '', read(page), flags=re.DOTALL | re.MULTILINE)
    links = re.findall(r'\]\(([^)\s]+)\)', text) + re.findall(r'src="([^"]+)"', text)
    local = [link.partition('#')[0] for link in links if '://' not in link]
    assert [link for link in local if link and not (ROOT / page).parent.joinpath(link).exists()] \
        == []


def test_tests_that_are_chosen_by_a_word_exist():
    lines = [line for page in PAGES for line in re.findall(
        r'pytest (.* -k (?:\'.*?\'|\w+))', read(page))]
    assert lines
    # One process for all of them: most of its time goes into imports.
    code = ('import json, sys, pytest\n'
            'for words in json.loads(sys.argv[1]):\n'
            '    assert pytest.main(["--collect-only", "-q", *words]) == 0, words\n')
    words = [[str(ROOT / word) if '/' in word else word for word in shlex.split(line)]
             for line in lines]
    done = run(sys.executable, '-c', code, json.dumps(words))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize('page', PAGES)
def test_make_targets_exist(page):
    targets = set(re.findall(r'^([\w.-]+):', read('Makefile'), re.MULTILINE))
    words = [*commands(read(page)), *inline_code(read(page))]
    named = {word for line in words for word in re.findall(r'(?:^|&& )make ([a-z][\w-]*)', line)}
    assert named <= targets


@functools.cache
def declared_options(script):
    """Options that the ``--help`` of a script of ours names."""
    if script.endswith('.sh'):
        # The launchers hand their options on to the script that they start.
        started, = re.findall(r'\$\(dirname "\$0"\)/(\w+\.py)', read(script))
        return declared_options(f'tools/{started}')
    said = io.StringIO()
    with contextlib.redirect_stdout(said), pytest.raises(SystemExit):
        runpy.run_path(str(ROOT / script))['main'](['--help'])
    return set(re.findall(r'(?:^  |, )(--[\w-]+)', said.getvalue(), re.MULTILINE))


def unknown_options(line):
    """Options of a shell command that the script of ours in it does not declare."""
    script = re.search(r'(?<![\w./-])(?:\./)?((?:tools|benchmarks)/[\w/]+\.(?:py|sh))', line)
    if script is None:
        return set()
    # What stands before the script is python's or a launcher's.
    words = shlex.split(re.split(r' [|>;&]', line[script.end():])[0], comments=True)
    options = {word.partition('=')[0] for word in words if re.match(r'--[a-z]', word)}
    return options - declared_options(script.group(1)) - {'--help'}


def test_options_of_other_scripts_are_found():
    line = './tools/slurm_test.sh part job x.py y.pth --out m.json --resume && other --option'
    assert unknown_options(line) == {'--resume'}


@pytest.mark.parametrize('page', PAGES)
def test_options_of_our_scripts_exist(page):
    lines = commands(read(page))
    assert {line: unknown for line in lines if (unknown := unknown_options(line))} == {}


@pytest.mark.parametrize('page', PAGES)
def test_configs_and_parts_in_code_exist(page):
    text = read(page)
    code = '\n'.join([*code_blocks(text, 'python', 'py'), *commands(text), *inline_code(text)])
    for name in re.findall(r"mmips(?:::|\.cfg\(')([\w./-]+\.py)", code):
        assert Path(mmips.cfg(name)).is_file()
    for block in code_blocks(text, 'python', 'py'):
        ast.parse(block)
    known = set(re.findall(r'^class (\w+)', code, re.MULTILINE))  # What the page itself makes.
    for registry in map(vars(mmips.registry).get, mmips.registry.__all__):
        registry.import_from_location()
        known |= set(registry.module_dict)
    assert set(re.findall(r"type='mmips\.(\w+)'", code)) - known <= {'X'}


def test_the_page_of_the_three_lines_has_those_of_the_readme(three_lines):
    assert f'```python\n{three_lines}```' in read('docs/drop_in.md')


def test_the_new_method_of_the_page_goes_through_every_test_of_a_method(
        make_runner, tmp_path, monkeypatch):
    page = read('docs/new_method.md')
    files = dict(re.findall(r'`([\w-]+\.py)`[^`]*\n\n```python\n(.*?)^```', page,
                            re.DOTALL | re.MULTILINE))
    line = re.search(r"`('.*: \('.*\),)`", page)[1]
    (method, row), = ast.literal_eval(f'{{{line}}}').items()
    assert set(files) == {'logit_match_loss.py', row[0]}
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(test_methods.METHODS, method, row)
    test_methods.test_resumes_in_the_same_bits_and_is_published_as_a_plain_network(
        make_runner, method)


def test_every_registered_part_is_on_a_page_of_the_api():
    documented = {}
    for page in (ROOT / 'docs/api').glob('*.md'):
        for name in re.findall(r'^::: (\S+)', page.read_text('utf-8'), re.MULTILINE):
            module = importlib.import_module(name)
            documented[name] = getattr(module, '__all__', vars(module))
    for registry in map(vars(mmips.registry).get, mmips.registry.__all__):
        registry.import_from_location()
        for part in registry.module_dict.values():
            assert not part.__module__.startswith('mmips.') or any(
                part.__module__.startswith(name) and part.__name__ in names
                for name, names in documented.items()), part


def test_the_site_knows_all_markup_of_the_docstrings():
    to_markdown = runpy.run_path(str(ROOT / 'docs/site_docstrings.py'))['to_markdown']
    left = {}
    for path in (ROOT / 'mmips').rglob('*.py'):
        for node in ast.walk(ast.parse(path.read_text('utf-8'))):
            if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef)):
                text = to_markdown(ast.get_docstring(node) or '')
                if found := re.findall(r':\w+:`|\.\. \w+::|^>[^>].*', text, re.MULTILINE):
                    left[str(path)] = found
    assert left == {}


def docstring(config):
    return ast.get_docstring(ast.parse(read(config)))


@pytest.mark.parametrize('config', CONFIGS)
def test_config_is_a_lab_note(config):
    note = docstring(config)
    assert note, f'{config} has no docstring'
    command = re.search(r'^Command: (.*)', note, re.MULTILINE)
    assert command, f'{config} does not say how it is run'
    assert config in command.group(1)
    assert missing_paths(note) == []
    assert re.search(r'^Cost', note, re.MULTILINE), f'{config} does not say what it costs'
    # Those with a folder before them are looked for above, or are another package's.
    others = re.findall(r'(?<![/\w-])[\w-]+_[\w-]+\.py', note)
    assert all((ROOT / config).with_name(name).exists() for name in others)


@pytest.mark.parametrize('folder', sorted({'/'.join(Path(config).parts[:2]) for config in CONFIGS}))
def test_readme_and_metafile_list_every_config(folder):
    names = {Path(config).relative_to(folder).as_posix() for config in CONFIGS
             if config.startswith(f'{folder}/')}
    readme = read(f'{folder}/README.md')
    assert {name for name in names if f']({name})' not in readme} == set()
    entries = [Path(entry['Config']).relative_to(folder).as_posix()
               for entry in yaml.safe_load(read(f'{folder}/metafile.yml'))['Models']]
    assert sorted(entries) == sorted(names)


@pytest.mark.parametrize('metafile', METAFILES)
def test_metafile_entries_exist_and_are_in_the_model_index(metafile):
    content = yaml.safe_load(read(metafile))
    collections = {entry['Name'] for entry in content['Collections']}
    assert all((ROOT / entry['README']).is_file() for entry in content['Collections'])
    for entry in content['Models']:
        assert entry['In Collection'] in collections
        assert (ROOT / entry['Config']).is_file()
        assert entry['Name'] == Path(entry['Config']).stem
        # A result without the weights that show it would be a borrowed number.
        assert 'Results' not in entry or 'Weights' in entry
    assert sorted(yaml.safe_load(read('model-index.yml'))['Import']) == METAFILES


def test_paper_numbers_in_docstrings_and_tables_agree():
    readme = read('configs/ips/README.md')
    rows = dict(re.findall(r'^\| \[([\w-]+)\]\(\S+\) \| ([\d.]+) \|', readme, re.MULTILINE))
    assert len(rows) >= 24
    for name, value in rows.items():
        note = docstring(f'configs/ips/{name}.py')
        noted = re.search(r'^Paper: Table \d+, ([\d.]+) % top-1', note, re.MULTILINE)
        assert noted.group(1) == value
