"""Methods and properties that a class answers as its instances do: `Image.fetch()`."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, Concatenate, Generic, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

P = ParamSpec("P")
R = TypeVar("R")


class on_class_too(Generic[P, R]):  # noqa: N801 - used as a decorator
    """A method that may be called on the class as on an instance: `Image.fetch()`."""

    def __init__(self, function: Callable[Concatenate[Any, P], R]) -> None:
        self.function = function
        self.__doc__ = function.__doc__
        self.__name__ = function.__name__

    def __get__(self, instance: object, owner: type) -> Callable[P, R]:
        """Bind to the instance, or to a new one of the class."""
        bound = instance if instance is not None else owner()
        return functools.partial(self.function, bound)


class seen_on_class_too(Generic[R]):  # noqa: N801 - used as a decorator
    """A property that may be read on the class as on an instance: `Image.heading`."""

    def __init__(self, function: Callable[[Any], R]) -> None:
        self.function = function
        self.__doc__ = function.__doc__

    def __get__(self, instance: object, owner: type) -> R:
        """Ask the instance, or a new one of the class."""
        return self.function(instance if instance is not None else owner())
