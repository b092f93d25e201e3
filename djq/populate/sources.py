"""Functions and classes → their code as text, without what does not change what they do."""

from __future__ import annotations

import ast
import inspect
import textwrap
import threading
from functools import lru_cache
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterator

#: A dotted name in a function's code: `self.helper`, `numpy.mean`; `super()` stands for itself.
Chain: TypeAlias = tuple[str, ...]

SUPER = "super()"
#: Python 3.11 may raise a SystemError where two threads parse at once
#: (https://github.com/python/cpython/issues/106905).
_PARSING = threading.Lock()


@lru_cache(maxsize=4096)
def tree_of(thing: FunctionType | type) -> ast.AST | None:
    """Return the code of a function or class, None where there is no source: at a prompt."""
    if isinstance(thing, FunctionType) and thing.__name__ == "<lambda>":
        return None  # its line may hold more than it
    try:
        with _PARSING:  # inspect parses, too
            return ast.parse(textwrap.dedent(inspect.getsource(thing))).body[0]
    except (OSError, TypeError, SyntaxError, IndexError):
        return None


def text_of(thing: FunctionType | type) -> str:
    """Return the code as text: comments, blank lines and docstrings do not count."""
    tree = tree_of(thing)
    if tree is not None:
        return _dump(tree)
    return _bare(thing.__code__) if isinstance(thing, FunctionType) else thing.__qualname__


def chains_of(thing: FunctionType | type) -> set[Chain]:
    """Return the names that the code mentions."""
    tree = tree_of(thing)
    if tree is not None:
        return {chain for node in ast.walk(tree) if (chain := _chain(node)) is not None}
    if not isinstance(thing, FunctionType):
        return set()
    found = {name for code in _codes(thing.__code__) for name in code.co_names}
    first = thing.__code__.co_varnames[:1]
    return {(name,) for name in found} | {(*first, name) for name in found if first}


def imports_in(function: FunctionType) -> Iterator[tuple[str, str, str | None]]:
    """Yield what a function imports itself: the name it gets, its module, its name there."""
    tree = tree_of(function)
    if tree is None:
        return
    package = str(function.__globals__.get("__package__") or "")
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                top = alias.name.partition(".")[0]
                yield alias.asname or top, alias.name if alias.asname else top, None
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1]
            module = ".".join([*(parents if node.level else ()), *filter(None, [node.module])])
            for alias in node.names:
                yield alias.asname or alias.name, module, alias.name


def assignments(owner: type | str, name: str) -> str | None:
    """Return the statements of a class, or of a module's text, that assign a name."""
    body: list[ast.stmt]
    if isinstance(owner, str):
        body = _module_body(owner)
    else:
        tree = tree_of(owner)
        body = tree.body if isinstance(tree, ast.ClassDef) else []
    found = [_dump(node) for node in body if name in _targets(node)]
    return "\n".join(found) or None


@lru_cache(maxsize=256)
def _module_body(text: str) -> list[ast.stmt]:
    try:
        with _PARSING:
            return ast.parse(text).body
    except SyntaxError:
        return []


def _targets(node: ast.stmt) -> set[str]:
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AnnAssign | ast.AugAssign):
        targets = [node.target]
    return {n.id for target in targets for n in ast.walk(target) if isinstance(n, ast.Name)}


def _chain(node: ast.AST) -> Chain | None:
    """Return the dotted name that an expression is; a call in the middle stands for its class."""
    attributes: list[str] = []
    while not isinstance(node, ast.Name):
        if isinstance(node, ast.Attribute):
            attributes.append(node.attr)
            node = node.value
        elif isinstance(node, ast.Call) and attributes:
            node = node.func
        else:
            return None
    root = SUPER if node.id == "super" else node.id
    return (root, *reversed(attributes))


def _dump(node: object) -> str:
    """Return a tree as text, the same from every version of Python."""
    if isinstance(node, list):
        return f"[{','.join(map(_dump, node))}]"  # pyright: ignore[reportUnknownArgumentType]
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = [
        f"{name}={_dump(value)}"
        for name, value in _fields(node)
        if value is not None and value != []
    ]
    return f"{type(node).__name__}({','.join(fields)})"


def _fields(node: ast.AST) -> Iterator[tuple[str, object]]:
    for name, value in ast.iter_fields(node):
        if name in {"ctx", "kind", "type_comment"}:
            continue
        is_body = isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef)
        yield name, _without_docstring(value) if is_body and name == "body" else value


def _without_docstring(body: list[ast.stmt]) -> list[ast.stmt]:
    first = body[0] if body else None
    is_docstring = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
    return body[1:] if is_docstring else body


def _codes(code: CodeType) -> Iterator[CodeType]:
    yield code
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _codes(constant)


def _bare(code: CodeType) -> str:
    """Return compiled code as text, without places in files and memory."""
    parts = [
        (c.co_code, c.co_names, [k for k in c.co_consts if not isinstance(k, CodeType)])
        for c in _codes(code)
    ]
    return repr(parts)
