"""Values of mappings and keys → equalities with attributes.

A value is compared as the attribute would keep it: a row is found by what was inserted, rounded or
not. What an insert would refuse as too large, too long or too precise equals no row.
"""

from __future__ import annotations

from functools import lru_cache, partial
from typing import TYPE_CHECKING, TypeAlias, cast

from djq.algebra.expressions import (
    FALSE,
    TRUE,
    Call,
    Expression,
    Listed,
    Literal,
    Name,
    both,
    either,
)
from djq.definition.acceptance import OutsideError, from_numpy
from djq.definition.attributes import Attribute, CoreType, NativeType
from djq.definition.native import NATIVE_TYPES
from djq.errors import QueryError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from djq.definition.acceptance import Value
    from djq.definition.heading import Heading

#: Of an attribute: a value → whether the attribute has it.
Equality: TypeAlias = "Callable[[Value], Expression]"

#: Types of values that hold neither several values nor null.
_PLAIN = frozenset({int, str, float})
#: Of more keys than these the statement is made for about so many, and kept for others.
FEW = 16

#: Native types whose bytes are compared as they are.
_BYTES = frozenset(n for n in NATIVE_TYPES if n.endswith(("blob", "binary")))


@lru_cache(maxsize=4096)
def equalities(heading: Heading) -> dict[str, Equality]:
    """Return `equals` of each attribute by its name; quicker, since most queries are of keys."""
    return {a.name: _quick(a) if _is_plain(a) else partial(equals, a) for a in heading}


def _is_plain(attribute: Attribute) -> bool:
    """Tell whether a plain value is compared as its type accepts it."""
    type_ = attribute.type
    return isinstance(type_, CoreType) and type_.name != "json"


def _quick(attribute: Attribute) -> Equality:
    name, accept = Name(attribute.name), cast("CoreType", attribute.type).accept

    def equals_quickly(value: Value) -> Expression:
        if type(value) not in _PLAIN:
            return equals(attribute, value)
        try:
            return Call("=", (name, Literal(accept(value))))
        except ValueError:
            return equals(attribute, value)  # no row has it, or the error says why

    return equals_quickly


def equals(attribute: Attribute, value: Value) -> Expression:
    """Return whether an attribute has a value, is null for None, or has any of some values."""
    if value is None:
        return Call("is null", (Name(attribute.name),))
    if _is_several(value):
        return _is_any(attribute, [*cast("Iterable[Value]", value)])
    literal = _literal(value, attribute)
    return FALSE if literal is None else Call("=", (Name(attribute.name), literal))


def _is_any(attribute: Attribute, values: Sequence[Value]) -> Expression:
    options = [_literal(v, attribute) for v in values if v is not None]
    known = [o for o in options if o is not None]
    found = [Call("in", (Name(attribute.name), *known))] if known else []
    if any(v is None for v in values):
        found.append(Call("is null", (Name(attribute.name),)))
    return either(*found)


def equals_any(
    names: Sequence[str], keys: Sequence[Mapping[str, Value]], heading: Heading
) -> Expression:
    """Return whether a row has the values of any of the keys, as one `IN` where that can be."""
    if any(_is_many(k[n]) for k in keys for n in names):
        return either(*(both(*(equals(heading[n], k[n]) for n in names)) for k in keys))
    found = (_literals(k, names, heading) for k in keys)
    rows = list(dict.fromkeys(row for row in found if row is not None))
    if len(rows) > FEW:
        return is_listed(names, [[literal.value for literal in row] for row in rows])
    return _is_in(names, rows) if rows else FALSE


def _is_in(names: Sequence[str], rows: Sequence[tuple[Literal, ...]]) -> Expression:
    if len(names) == 1:
        return Call("in", (Name(names[0]), *(row[0] for row in rows)))
    shared = [i for i in range(len(names)) if len({row[i] for row in rows}) == 1]
    common = [Call("=", (Name(names[i]), rows[0][i])) for i in shared]
    varying = [i for i in range(len(names)) if i not in shared]
    if not varying:
        return both(*common)
    if len(varying) == 1:
        (i,) = varying
        return both(*common, Call("in", (Name(names[i]), *(row[i] for row in rows))))
    left = Call("tuple", tuple(Name(names[i]) for i in varying))
    options = [Call("tuple", tuple(row[i] for i in varying)) for row in rows]
    return both(*common, Call("in", (left, *options)))


def is_listed(names: Sequence[str], rows: Iterable[Sequence[Value]]) -> Expression:
    """Return whether a row has, in `names`, the values of any of `rows`.

    Unlike `equals_any` it takes keys as a database gave them, whose values need no reading: a
    thousand keys cost little more than one. What is the same in all rows becomes an equality,
    which an index serves best.
    """
    given = list(rows)
    if not given or not names:
        return TRUE if given else FALSE
    columns = list(zip(*given, strict=True))
    shared = [len(set(column)) == 1 for column in columns]
    found = [
        Call("=", (Name(name), Literal(column[0])))
        for name, column, is_shared in zip(names, columns, shared, strict=True)
        if is_shared
    ]
    varying = [i for i, is_shared in enumerate(shared) if not is_shared]
    if not varying:
        return both(*found)
    listed = tuple(zip(*(columns[i] for i in varying), strict=True))
    return both(*found, Listed(tuple(names[i] for i in varying), listed))


def _is_many(value: Value) -> bool:
    """Tell whether a value is not compared by `=`: null, or any of several."""
    return value is None or _is_several(value)


def _is_several(value: Value) -> bool:
    """Tell whether a value is a list of values: a column of numpy or pandas is."""
    return isinstance(value, list | tuple | set | frozenset) or (
        len(getattr(value, "shape", ())) == 1
    )


def _literals(
    key: Mapping[str, Value], names: Sequence[str], heading: Heading
) -> tuple[Literal, ...] | None:
    """Return the values of a key; None where an attribute holds no such value."""
    found = [_literal(key[n], heading[n]) for n in names]
    known = tuple(literal for literal in found if literal is not None)
    return known if len(known) == len(found) else None


def _literal(value: Value, attribute: Attribute) -> Literal | None:
    """Return a value as the attribute holds it; None where it holds no such value."""
    check_comparable(attribute)
    if not isinstance(attribute.type, CoreType | NativeType):
        return Literal(_plain(value))
    if attribute.type.name in _BYTES:
        return Literal(value)
    try:
        return Literal(attribute.type.accept(value))
    except OutsideError:
        return None
    except ValueError as error:
        message = f'cannot compare "{attribute.name}" : {attribute.type} with {value!r}: {error}'
        raise QueryError(message) from error


def _plain(value: Value) -> Value:
    """Return a scalar of numpy as one of Python, for an attribute whose type nobody knows."""
    value = from_numpy(value)
    is_scalar = hasattr(value, "dtype") and getattr(value, "shape", None) == ()
    return value.item() if is_scalar else value


def check_comparable(attribute: Attribute) -> None:
    """Refuse to compare values that databases hold as bytes of a codec, or each in its own way.

    Raises
    ------
    QueryError
        The attribute's values are encoded, or JSON.
    """
    type_ = attribute.type
    if attribute.is_encoded or (isinstance(type_, CoreType) and type_.name == "json"):
        message = (
            f'cannot restrict by "{attribute.name}": values of {type_} are not compared; '
            "only whether they are null"
        )
        raise QueryError(message)
