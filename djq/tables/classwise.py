"""Methods and properties that a class answers as its instances do: `Image.fetch()`."""

from __future__ import annotations

import functools
from types import MethodType
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, cast, overload

if TYPE_CHECKING:
    from collections.abc import Callable

    from djq.definition.acceptance import Value

P = ParamSpec("P")
R = TypeVar("R")
Seen = TypeVar("Seen")


class on_class_too(Generic[Seen]):  # noqa: N801 - used as a decorator
    """A method that may be called on the class as on an instance: `Image.fetch()`.

    `@on_class_too[Signature]` tells type checkers a signature that the function alone cannot say,
    such as several of them. Nothing is asked, and no instance made, before it is called.
    """

    @overload
    def __init__(
        self: on_class_too[Callable[P, R]], function: Callable[Concatenate[Any, P], R]
    ) -> None: ...
    @overload
    def __init__(self, function: Callable[..., Any]) -> None: ...
    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__

        @functools.wraps(function)
        def call_on_class(owner: Callable[[], Value], *args: Value, **kwargs: Value) -> Value:
            return function(owner(), *args, **kwargs)

        self._on_class = call_on_class

    def __get__(self, instance: object, owner: type) -> Seen:
        """Bind to the instance, or to a new one of the class."""
        function, bound = (self._on_class, owner) if instance is None else (self.function, instance)
        return cast("Seen", MethodType(function, bound))


class drawn_on_class_too(on_class_too[Seen]):  # noqa: N801 - used as a decorator
    """What a notebook asks of a value, and of a class, too; None where no table is declared."""

    def __get__(self, instance: object, owner: type) -> Seen:
        """Bind to the instance, or to a new one of the class."""
        if instance is None and getattr(owner, "spec", None) is None:
            return cast("Seen", MethodType(_nothing, owner))
        return super().__get__(instance, owner)


def _nothing(owner: type) -> None:
    """Leave it to the notebook, which shows a class by its name."""
    del owner


class seen_on_class_too(Generic[R]):  # noqa: N801 - used as a decorator
    """A property that may be read on the class as on an instance: `Image.heading`."""

    def __init__(self, function: Callable[[Any], R]) -> None:
        self.function = function
        self.__doc__ = function.__doc__

    def __get__(self, instance: object, owner: type) -> R:
        """Ask the instance, or a new one of the class."""
        return self.function(instance if instance is not None else owner())
