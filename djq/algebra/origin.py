"""Where the values of a query's attribute are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING

from djq.algebra.expressions import Name
from djq.algebra.nodes import Join, Node, Projection, Relation, Restriction, Top

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
