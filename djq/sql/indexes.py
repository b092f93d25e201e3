"""`Index` → index of a table: over attributes, expressions, and paths into JSON.

Text of users is read by the same reader as conditions, and compiled from its tree. Servers keep an
expression in words of their own; those of the definition are kept beside the index.
"""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import schema
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.elements import Grouping

from djq.algebra.expressions import aggregates_in
from djq.definition.grammar import MAX_NAME
from djq.definition.indexterms import is_expression, read_path
from djq.errors import DefinitionError, QueryError
from djq.sql.astral import escape
from djq.sql.compile import Compiler
from djq.sql.conditions import text_reader

if TYPE_CHECKING:
    from sqlalchemy.sql.compiler import DDLCompiler

    from djq.algebra.expressions import Expression
    from djq.definition.acceptance import Value
    from djq.definition.indexterms import JsonPath
    from djq.definition.spec import Index, TableSpec
    from djq.sql.dialects import Dialect

#: Types of values within JSON → what SQLite has instead.
_SQLITE_CASTS: dict[str, sa.types.TypeEngine[Any]] = {
    **dict.fromkeys(("signed", "unsigned", "year"), sa.Integer()),
    **dict.fromkeys(("double", "float", "decimal"), sa.REAL()),
}


class CreateIndex(schema.CreateIndex):
    """`CREATE INDEX`, which notes on MySQL how the definition has the terms."""

    inherit_cache = False


@compiles(CreateIndex, "mysql", "mariadb")
def _create_index(element: CreateIndex, compiler: DDLCompiler, **options: Value) -> str:
    text: str = compiler.visit_create_index(element, **options)  # type: ignore[no-untyped-call] # SQLAlchemy's
    terms: str | None = element.element.info.get("terms")
    if terms is None:
        return text
    comment = compiler.sql_compiler.render_literal_value(escape(terms), sa.String())
    return f"{text} COMMENT {comment}"


def add_index(table: sa.Table, spec: TableSpec, index: Index, dialect: Dialect) -> None:
    """Add an index to a table.

    Raises
    ------
    DefinitionError
        A term is no expression, or the server has no such indexes.
    """
    is_plain = all(t in table.c for t in index.terms)
    if is_plain and index.is_unique:
        table.append_constraint(sa.UniqueConstraint(*(table.c[n] for n in index.terms)))
        return
    columns = [_term(table, spec, t, dialect) for t in index.terms]
    made = sa.Index(name_of(table.name, index), *columns, unique=index.is_unique)
    if not is_plain:
        made.info["terms"] = terms_text(index)


def terms_text(index: Index) -> str:
    """Return the terms as a definition has them."""
    return ", ".join(index.terms)


def name_of(table: str, index: Index) -> str:
    """Return the name of an index: the table's and the terms', shortened to what servers take."""
    terms = [re.sub(r"\W+", "_", t).strip("_") for t in index.terms]
    name = f"{table}__{'_'.join(terms)}{'__unique' if index.is_unique else ''}"
    is_plain = terms == list(index.terms)
    if len(name) > MAX_NAME or not is_plain:
        digest = hashlib.sha256(f"{name} {terms_text(index)}".encode()).hexdigest()[:8]
        name = f"{name[: MAX_NAME - 9]}_{digest}"
    return name


def _term(table: sa.Table, spec: TableSpec, term: str, dialect: Dialect) -> Any:  # noqa: ANN401
    if term in table.c:
        return table.c[term]
    if dialect.backend == "mariadb":
        message = (
            f"{spec.display_name} cannot be declared: MariaDB has no index of {term}. Leave it "
            "out, or keep the value in an attribute of its own and index that"
        )
        raise DefinitionError(message)
    path = read_path(term)
    if path is not None:
        return Grouping(_json_value(table, path, dialect))
    return Grouping(_expression(table, spec, term, dialect))


def _expression(
    table: sa.Table, spec: TableSpec, term: str, dialect: Dialect
) -> sa.ColumnElement[Any]:
    text = term[1:-1] if is_expression(term) else term
    try:
        tree = text_reader(dialect.functions)(text, spec.heading, "the expression")
        _check_rowwise(tree)
        columns = {n: table.c[n] for n in spec.heading.names}
        return Compiler(dialect).expression(tree, dict(columns))
    except QueryError as error:
        message = f"{spec.display_name} cannot be declared, index({term}): {error}"
        raise DefinitionError(message) from error


def _check_rowwise(tree: Expression) -> None:
    if aggregate := next(aggregates_in(tree), None):
        message = f"{aggregate} combines rows, and an index has a value for each"
        raise QueryError(message)


def _json_value(table: sa.Table, path: JsonPath, dialect: Dialect) -> sa.ColumnElement[Any]:
    """Return the value at a path; its parts were checked to be names and numbers."""
    column, where = table.c[path.attribute], f"'{path.path}'"
    if not dialect.is_sqlite:
        returning = f" RETURNING {path.type}" if path.type else ""
        return sa.func.json_value(column, sa.literal_column(f"{where}{returning}"))
    value = sa.func.json_extract(column, sa.literal_column(where))
    if not path.type:
        return value
    return sa.cast(value, _SQLITE_CASTS.get(path.type.partition("(")[0], sa.Text()))
