"""Where the values of a query's attribute are stored: the table, and how the row is found."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from djq.algebra.expressions import Name
from djq.algebra.nodes import Join, Node, Projection, Relation, Restriction, Top
from djq.definition.heading import Heading

if TYPE_CHECKING:
    from djq.definition.constraints import TableName


def origin(node: Node, name: str) -> tuple[TableName, str] | None:
    """Return the table of an attribute's values and its name there; None: it is not just one."""
    while not isinstance(node, Relation):
        match node:
            case Restriction() | Top():
                node = node.source
            case Projection():
                expression = dict(node.columns)[name]
                if not isinstance(expression, Name):
                    return None
                node, name = node.source, expression.attribute
            case Join():
                node = node.left if name in node.left.heading else node.right
            case _:
                return None
    return node.name, name


def keyed(node: Node, *names: str) -> Node:
    """Return a query's rows with their key and some attributes; a fetch left other ones out."""
    if isinstance(node, Top):
        return replace(node, source=keyed(node.source, *names, *(n for n, _ in node.order)))
    if isinstance(node, Projection) and all(old == Name(new) for new, old in node.columns):
        node = node.source
    shown = tuple(dict.fromkeys((*node.heading.primary_key, *names)))
    heading = Heading(tuple(node.heading[n] for n in shown))
    return Projection(node, tuple((n, Name(n)) for n in shown), heading)
