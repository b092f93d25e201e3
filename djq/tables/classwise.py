"""Methods and properties that a class answers as its instances do: `Image.fetch()`."""

from __future__ import annotations

import functools
from types import MethodType
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable

    from djq.definition.acceptance import Value

P = ParamSpec("P")
R = TypeVar("R")
Seen = TypeVar("Seen")


class typed_on_class_too(Generic[Seen]):  # noqa: N801 - used as a decorator
    """A method that may be called on the class as on an instance: `Image.fetch()`.

    `@typed_on_class_too[Signature]` tells type checkers a signature that the function alone cannot
    say, such as several of them. No instance is made before it is called.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function
        self.__doc__ = function.__doc__
        self.__name__: str = function.__name__

        @functools.wraps(function)
        def call_on_class(owner: Callable[[], Value], *args: Value, **kwargs: Value) -> Value:
            return function(owner(), *args, **kwargs)

        self._on_class = call_on_class

    def __get__(self, instance: object, owner: type) -> Seen:
        """Bind to the instance, or to a new one of the class."""
        function, bound = (self._on_class, owner) if instance is None else (self.function, instance)
        return cast("Seen", MethodType(function, bound))


class on_class_too(typed_on_class_too["Callable[P, R]"], Generic[P, R]):  # noqa: N801
    """The same for a method whose signature is the function's own."""

    def __init__(self, function: Callable[Concatenate[Any, P], R]) -> None:
        super().__init__(function)


class drawn_on_class_too(on_class_too[P, R]):  # noqa: N801 - used as a decorator
    """What a notebook asks of a value, and of a class, too; None where no table is declared."""

    def __get__(self, instance: object, owner: type) -> Callable[P, R]:
        """Bind to the instance, or to a new one of the class."""
        if instance is None and getattr(owner, "spec", None) is None:
            return cast("Callable[P, R]", MethodType(_nothing, owner))
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
