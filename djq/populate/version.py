"""The version of the code that makes a table's rows."""

from __future__ import annotations

import ast
import hashlib
import inspect
import textwrap
import threading
from functools import lru_cache

#: Characters of a version; as long as a short git hash, and enough for one class's history.
LENGTH = 12
#: Python 3.11 may raise a SystemError where two threads parse at once
#: (https://github.com/python/cpython/issues/106905).
_PARSING = threading.Lock()


@lru_cache(maxsize=1024)
def code_version(cls: type) -> str:
    """Return a hash of the class's code: comments, blank lines and docstrings do not count."""
    try:
        with _PARSING:  # inspect parses, too
            source = textwrap.dedent(inspect.getsource(cls))
            text = ast.dump(_without_docstrings(ast.parse(source)))
    except (OSError, TypeError, SyntaxError):  # defined at a prompt: there is no source
        make = getattr(cls, "make", None)
        code = getattr(make, "__code__", None)
        text = repr((getattr(code, "co_code", b""), getattr(code, "co_consts", ())))
    return hashlib.sha256(text.encode()).hexdigest()[:LENGTH]


def _without_docstrings(tree: ast.AST) -> ast.AST:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
            first = node.body[0]
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:] or [ast.Pass()]
    return tree
