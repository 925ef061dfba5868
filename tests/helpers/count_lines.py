"""How large the rooms are: ``python tests/helpers/count_lines.py [REVISION]``.

Of a revision of git, or else of the working tree: lines, lines of code (neither blank, comment
nor docstring) and statements (without docstrings) of each room of mmips, of tools and of tests.
"""
import ast
import io
import subprocess
import sys
import tokenize
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ('mmips', 'tools', 'tests')
_NO_CODE = (tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT,
            tokenize.ENDMARKER)


def read_files(revision=None):
    """Path to text of every Python file, of ``mmips/.mim`` none."""
    if not revision:
        paths = sorted(path for folder in FOLDERS for path in (ROOT / folder).rglob('*.py'))
        return {path.relative_to(ROOT).as_posix(): path.read_text(encoding='utf-8')
                for path in paths if '.mim' not in path.parts}

    def git(*args):
        return subprocess.run(['git', *args], cwd=ROOT, capture_output=True, text=True,
                              check=True).stdout

    names = git('ls-tree', '-r', '--name-only', revision, *FOLDERS).splitlines()
    return {name: git('show', f'{revision}:{name}') for name in names if name.endswith('.py')}


def room(name):
    """``mmips/x/...`` is in x, a module beside the rooms in '-'; tools and tests are one each."""
    parts = name.split('/')
    return parts[0] if parts[0] != 'mmips' else parts[1] if len(parts) > 2 else '-'


def measure(text):
    """Lines, lines of code and statements of one file."""
    statements = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.stmt)]
    docstrings = [node for node in statements if isinstance(node, ast.Expr)
                  and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)]
    texts = {line for node in docstrings for line in range(node.lineno, node.end_lineno + 1)}
    code = {line for token in tokenize.generate_tokens(io.StringIO(text).readline)
            if token.type not in _NO_CODE for line in range(token.start[0], token.end[0] + 1)}
    return Counter(lines=len(text.splitlines()), code=len(code - texts),
                   statements=len(statements) - len(docstrings))


def by_room(revision=None):
    rooms = {}
    for name, text in read_files(revision).items():
        rooms.setdefault(room(name), Counter()).update(measure(text))
    return rooms


def main(argv=None):
    rooms = by_room(*(sys.argv[1:] if argv is None else argv)[:1])
    rooms['mmips + tools'] = sum((count for name, count in rooms.items() if name != 'tests'),
                                 Counter())
    print(f'{"room":15}{"lines":>8}{"code":>8}{"statements":>12}')
    for name, count in sorted(rooms.items(), key=lambda item: item[1]['lines']):
        print(f'{name:15}{count["lines"]:8}{count["code"]:8}{count["statements"]:12}')


if __name__ == '__main__':
    main()
