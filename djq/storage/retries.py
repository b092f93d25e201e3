"""Asking a store again that did not answer; for clients that do not do it themselves."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Concatenate, Final, ParamSpec, TypeVar

from djq.errors import StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable

_P = ParamSpec("_P")
_R = TypeVar("_R")
_Store = TypeVar("_Store")

#: Waits between tries [s]: a lost connection is made again, a server that is down is reported soon.
DELAYS_S: Final = (0.1, 0.5, 1.5)


def retried(
    method: Callable[Concatenate[_Store, _P], _R],
) -> Callable[Concatenate[_Store, _P], _R]:
    """Call a store's method again while it raises StoreUnavailableError, a few times.

    Every method of a store may be repeated. Only a put of an iterator is not: its parts are gone.
    """

    @functools.wraps(method)
    def call(store: _Store, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        is_once = any(isinstance(each, Iterator) for each in (*args, *kwargs.values()))
        for delay_s in () if is_once else DELAYS_S:
            try:
                return method(store, *args, **kwargs)
            except StoreUnavailableError:
                time.sleep(delay_s)
        return method(store, *args, **kwargs)

    return call
