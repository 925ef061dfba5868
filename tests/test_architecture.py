"""Who may import whom, how large anything may be, and that what is imported is declared."""
import ast
import importlib.util
import re
import runpy
import sys
from importlib.metadata import packages_distributions
from pathlib import Path

from helpers.count_lines import ROOT, by_room, read_files, room

#: A room may import what stands above it. Those of one line do not know each other.
ROOMS = [
    {'errors', 'compat', 'names', 'registry', 'version'},
    {'structures', 'functional'},
    {'datasets', 'models'},
    {'engine', 'visualization'},
    {'config'},
    {'runs'},
    {'evaluation'},
    {'tools'},
]
# These know each other: errors of the environment are the user's, data has pairs.
NEIGHBOURS = ROOMS[0], ROOMS[1], ROOMS[2]
LEVEL = {name: number for number, names in enumerate(ROOMS) for name in names}
SOURCES = {name: text for name, text in read_files().items() if not name.startswith('tests/')}


def room_of(name):
    """Room of a file; a module beside the rooms is one by its own name."""
    return Path(name).stem if room(name) == '-' else room(name)


def imported(name, text):
    """Every module that a file imports, lazily or not, with the names it takes from it."""
    package = '.'.join(Path(name).parent.parts)
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = importlib.util.resolve_name('.' * node.level + (node.module or ''), package)
            yield from (f'{module}.{alias.name}' for alias in node.names)


def may_import(ours, theirs):
    return ours == theirs or LEVEL[theirs] < LEVEL[ours] or any(
        {ours, theirs} <= names for names in NEIGHBOURS)


def test_every_room_has_its_place():
    # The package itself hands on what its users need first.
    assert {room_of(name) for name in SOURCES} == {*LEVEL, '__init__'}


def test_no_room_imports_what_stands_below_it():
    wrong = set()
    for name, text in SOURCES.items():
        for module in imported(name, text):
            top, _, rest = module.partition('.')
            theirs, ours = rest.partition('.')[0], room_of(name)
            if top == 'mmips' and {ours, theirs} <= LEVEL.keys() and not may_import(ours, theirs):
                wrong.add(f'{name} imports {module}')
    assert not wrong, '\n'.join(sorted(wrong))
    assert may_import('runs', 'config') and may_import('compat', 'errors')
    assert not may_import('config', 'runs') and not may_import('engine', 'visualization')


def test_no_file_is_long():
    long = {name: lines for name, text in SOURCES.items()
            if (lines := len(text.splitlines())) > (100 if name.startswith('tools/') else 300)}
    assert not long


def test_no_room_is_above_a_fifth():
    rooms = {name: count['lines'] for name, count in by_room().items() if name != 'tests'}
    assert not {name: lines for name, lines in rooms.items() if lines > sum(rooms.values()) / 5}


def test_no_tool_starts_another():
    wrong = [name for name, text in SOURCES.items() if name.startswith('tools/')
             and {module.partition('.')[0] for module in imported(name, text)}
             & {'subprocess', 'runpy', 'tools'}]
    assert not wrong


def test_what_is_imported_is_declared():
    """By an extra that users install; ``dev`` is for those who change mmips."""
    extras = runpy.run_path(str(ROOT / 'setup.py'))['EXTRAS']
    declared = {re.match(r'[\w.-]+', requirement).group().lower()
                for name, extra in extras.items() if name not in ('dev', 'all')
                for requirement in [*extra, 'numpy', 'packaging']}
    providers = packages_distributions()
    missing = {}
    for name, text in SOURCES.items():
        for top in {module.partition('.')[0] for module in imported(name, text)}:
            if top in sys.stdlib_module_names or top == 'mmips' or top not in providers:
                continue
            if not {provider.lower() for provider in providers[top]} & declared:
                missing.setdefault(top, []).append(name)
    assert not missing
