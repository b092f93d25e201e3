"""What a foreign key carries: conditions on parents as conditions on their children."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from djq.algebra.expressions import Call, Expression, Literal, Matches, Name, both, names_in
from djq.algebra.nodes import Projection, Relation, Restriction

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from djq.definition.acceptance import Value
    from djq.definition.spec import TableName

#: What compares values in the same way on both sides of a foreign key, and at any time.
_COMPARISONS = frozenset({"=", "!=", "<", "<=", ">", ">=", "in", "between"})
_STABLE = _COMPARISONS | {"and", "or", "not", "is not true", "is null", "<=>", "tuple"}


class Edge(Protocol):
    """A foreign key; `columns` pairs the child's column with the parent's."""

    @property
    def child(self) -> TableName:
        """The table that refers."""
        ...

    @property
    def parent(self) -> TableName:
        """The table that is referred to."""
        ...

    @property
    def columns(self) -> tuple[tuple[str, str], ...]:
        """Pairs of columns: the child's, the parent's."""
        ...


def referring(edge: Edge, parent: Relation, condition: Expression) -> Expression:
    """Return the condition on a child that its parent's rows with `condition` are referred to."""
    carried = {theirs: mine for mine, theirs in edge.columns}
    if is_stable(condition) and carried.keys() >= set(names_in(condition)):
        return translated(condition, carried)
    names = tuple(mine for mine, _ in edge.columns)
    heading = parent.heading.project(dict(edge.columns))
    columns = tuple((mine, Name(theirs)) for mine, theirs in edge.columns)
    return Matches(Projection(Restriction(parent, condition), columns, heading), names)


def translated(condition: Expression, carried: Mapping[str, str]) -> Expression:
    """Return the condition in the child's names, true only where the whole reference is set."""
    renamed = _renamed(condition, carried)
    never_null = set(_needed(renamed))
    optional = [mine for mine in carried.values() if mine not in never_null]
    return both(renamed, *(Call("not", (Call("is null", (Name(n),)),)) for n in optional))


def _renamed(expression: Expression, names: Mapping[str, str]) -> Expression:
    if isinstance(expression, Name):
        return Name(names[expression.attribute])
    if isinstance(expression, Call):
        arguments = tuple(_renamed(a, names) for a in expression.arguments)
        return Call(expression.function, arguments)
    return expression


def is_stable(condition: Expression) -> bool:
    """Tell whether a condition says the same of a row whenever and in whichever table it is asked.

    It reads nothing but the row's attributes, and compares them as foreign keys do.
    """
    match condition:
        case Name() | Literal():
            return True
        case Call(function=function, arguments=arguments):
            return function in _STABLE and all(is_stable(a) for a in arguments)
        case _:
            return False


def _needed(condition: Expression) -> frozenset[str]:
    """Return attributes that cannot be null where the condition is true."""
    if not isinstance(condition, Call):
        return frozenset()
    arguments = condition.arguments
    found: frozenset[str] = frozenset()
    match condition.function:
        case "and":
            found = found.union(*(_needed(a) for a in arguments))
        case "or":
            found = _needed(arguments[0]).intersection(*(_needed(a) for a in arguments))
        case "=" | "in" if _is_call(arguments[0], "tuple"):
            found = _plain_names(arguments[0])
        case "in":
            found = _plain_names(Call("in", arguments[:1]))
        case "not" if _is_call(arguments[0], "is null"):
            found = _plain_names(arguments[0])
        case function if function in _COMPARISONS:
            found = _plain_names(condition)
        case _:
            pass
    return found


def _is_call(expression: Expression, function: str) -> bool:
    return isinstance(expression, Call) and expression.function == function


def _plain_names(call: Expression) -> frozenset[str]:
    arguments = call.arguments if isinstance(call, Call) else ()
    return frozenset(a.attribute for a in arguments if isinstance(a, Name))


def key_in(names: Sequence[str], keys: Sequence[Sequence[Value]]) -> Expression:
    """Return the condition that a row's values in `names` are one of the keys."""
    if not names:
        return Literal(bool(keys))
    shared = [i for i in range(len(names)) if all(k[i] == keys[0][i] for k in keys)]
    varying = [i for i in range(len(names)) if i not in shared]
    common = [Call("=", (Name(names[i]), Literal(keys[0][i]))) for i in shared]
    if not varying:
        return both(*common)
    if len(varying) == 1:
        (i,) = varying
        return both(*common, Call("in", (Name(names[i]), *(Literal(k[i]) for k in keys))))
    left = Call("tuple", tuple(Name(names[i]) for i in varying))
    options = [Call("tuple", tuple(Literal(k[i]) for i in varying)) for k in keys]
    return both(*common, Call("in", (left, *options)))
