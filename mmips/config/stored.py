# Copyright (c) mmips contributors. Licensed under the Apache License 2.0.
"""The config that a checkpoint keeps as Python source, read as data: nothing of it is run."""
import ast
from typing import Any


class _Literals(ast.NodeTransformer):
    """Makes ``dict(a=1)`` the literal that it stands for."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        # Where a key is no name, mmengine prints dict({'a.b': 1}).
        mapping = len(node.args) == 1 and isinstance(node.args[0], ast.Dict) and not node.keywords
        if getattr(node.func, 'id', '') != 'dict' or node.args and not mapping:
            raise ValueError(f'it calls {ast.unparse(node)[:80]}')
        self.generic_visit(node)
        if mapping:
            return node.args[0]
        return ast.Dict([ast.Constant(part.arg) if part.arg else None for part in node.keywords],
                        [part.value for part in node.keywords])


def read_stored(text: Any) -> dict[str, Any]:
    """The variables of a config as mmengine prints it, in plain dicts and lists.

    Raises:
        ValueError: For anything but assignments of literals.
    """
    try:
        return {node.targets[0].id: ast.literal_eval(_Literals().visit(node.value))  # type: ignore
                for node in ast.parse(text or '').body}
    except (SyntaxError, ValueError, AttributeError, TypeError, RecursionError, MemoryError
            ) as error:
        raise ValueError(f'it is no printed config: {error}') from error


def flatten(node: Any, key: str = '') -> dict[str, Any]:
    """The values of a config by dotted key; lists count as tuples, an empty part as itself."""
    parts = (node.items() if hasattr(node, 'items') else
             enumerate(node) if isinstance(node, (list, tuple)) else ())
    below = {name: value for number, part in parts
             for name, value in flatten(part, f'{key}.{number}').items()}
    return below or {key[1:]: list(node) if isinstance(node, tuple) else node}


def kinds(node: Any) -> list[str]:
    """The types of all parts below a part, without their scopes."""
    return [str(getattr(kind, '__name__', kind)).rpartition('.')[2]
            for key, kind in flatten(node).items() if key.rpartition('.')[2] == 'type']
