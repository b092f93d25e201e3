"""The forms that a `make` may have: in one piece, in three, as a generator, for many keys."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from djq.errors import DefinitionError, UsageError
from djq.populate.stages import InParts, Methods, Steps, Whole

if TYPE_CHECKING:
    from djq.definition.acceptance import Value
    from djq.populate.keys import Key
    from djq.populate.stages import Work

Form: TypeAlias = Literal["make", "_make_tuples", "parts", "generator"]

#: The methods of a make in three parts, in their order.
THREE = ("make_fetch", "make_compute", "make_insert")


@dataclass(frozen=True, slots=True)
class Maker:
    """How the rows of a table are made; chosen once, when its class is declared."""

    #: What makes one key; None: nothing does.
    form: Form | None
    #: Whether there is a `make_many`.
    has_many: bool = False

    def __bool__(self) -> bool:
        """Tell whether there is any make."""
        return self.form is not None or self.has_many

    @property
    def name(self) -> str:
        """The method, for messages."""
        names = {"_make_tuples": "_make_tuples", "parts": "make_insert", None: "make_many"}
        return names.get(self.form, "make")

    def work(self, table: Value, key: Key, kwargs: Mapping[str, Value]) -> Work:
        """Return the work on one key."""
        match self.form:
            case "parts":
                return InParts(table, key, Methods(table, key, kwargs))
            case "generator":
                return InParts(table, key, Steps(table, key, kwargs))
            case None:
                return self.work_on_many(table, [key], kwargs)
            case name:
                return Whole(lambda: getattr(table, name)(dict(key), **kwargs))

    def work_on_many(self, table: Value, keys: Sequence[Key], kwargs: Mapping[str, Value]) -> Work:
        """Return the work on many keys at once, for a `make_many`."""
        # The method may change what it is given.
        return Whole(lambda: table.make_many([dict(k) for k in keys], **kwargs))

    def check_kwargs(self, cls: type, kwargs: Mapping[str, Value] | None) -> dict[str, Value]:
        """Return arguments for each call of make, checked.

        Raises
        ------
        UsageError
            They are no mapping of names, or make does not take them.
        """
        given: object = {} if kwargs is None else kwargs
        if not _is_named(given):
            message = f"make_kwargs is {given!r}; it is a mapping of argument names to values"
            raise UsageError(message)
        found: dict[str, Value] = dict(kwargs or {})
        names = {"parts": ["make_fetch"], None: []}.get(self.form, [str(self.name)])
        for name in [*names, *(["make_many"] if self.has_many else [])]:
            problem = _misfit(cls, name, found)
            if problem is not None:
                message = f"{cls.__name__}.{name} does not take make_kwargs={found!r}: {problem}"
                raise UsageError(message)
        return found


def maker_of(cls: type, base: type) -> Maker:
    """Return how a class makes its rows; `base` is the class whose `make` is none.

    Raises
    ------
    DefinitionError
        It is not clear which of its methods is meant, or one cannot be called.
    """
    own = {
        name
        for name in ("make", "_make_tuples", "make_many", *THREE)
        # None: the class is to be declared, and makes nothing.
        if getattr(cls, name, None) not in {None, getattr(base, name, None)}
    }
    for name in sorted(own):
        _check_method(cls, name)
    three = [name for name in THREE if name in own]
    if three and len(three) < len(THREE):
        lacking = ", ".join(name for name in THREE if name not in own)
        message = (
            f"{cls.__name__} defines {', '.join(three)}, and lacks {lacking}: a make in three "
            "parts has make_fetch(key), make_compute(key, *fetched), make_insert(key, *computed)"
        )
        raise DefinitionError(message)
    if three and "make" in own:
        message = (
            f"{cls.__name__} defines both make and {', '.join(THREE)}: leave out one of the two, "
            "so that it is clear what makes a key"
        )
        raise DefinitionError(message)
    form: Form | None = None
    if three:
        form = "parts"
    elif "make" in own:
        form = "generator" if inspect.isgeneratorfunction(_function(cls, "make")) else "make"
    elif "_make_tuples" in own:
        form = "_make_tuples"
    return Maker(form, "make_many" in own)


def _function(cls: type, name: str) -> object:
    """Return a method as it was defined, behind decorators that say so."""
    found: object = getattr(cls, name)
    return inspect.unwrap(found) if callable(found) else found


def _check_method(cls: type, name: str) -> None:
    function = _function(cls, name)
    problem = None
    if not callable(function):
        problem = f"is {function!r}, and no method"
    elif inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        problem = "is asynchronous, and nobody would wait for it: define it without async"
    elif name != "make" and inspect.isgeneratorfunction(function):
        problem = "yields, and only make may be a generator: return the values"
    else:
        misfit = _misfit(cls, name, {})
        if misfit is not None:
            problem = f"cannot be called: {misfit}"
    if problem is not None:
        argument = "keys" if name == "make_many" else "key"
        message = f"{cls.__name__}.{name} {problem}. Define {name}(self, {argument}, …)"
        raise DefinitionError(message)


def _misfit(cls: type, name: str, kwargs: Mapping[str, Value]) -> str | None:
    """Return why a method cannot be called with a key and these arguments, None if it can."""
    method: Any = inspect.getattr_static(cls, name)
    if not inspect.isfunction(method):
        return None  # its signature is its own matter
    signature = inspect.signature(method)
    try:
        # The values that make_compute and make_insert get behind the key are not known here.
        bind = signature.bind_partial if name in THREE[1:] else signature.bind
        bind(None, None, **kwargs)
    except TypeError as error:
        return f"it is {name}{signature}, {error}"
    return None


def _is_named(value: object) -> bool:
    return isinstance(value, Mapping) and all(
        isinstance(name, str) for name in cast("Mapping[object, object]", value)
    )
