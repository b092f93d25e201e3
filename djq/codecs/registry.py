"""A codec's name in a definition → the codec, and the chain of codecs behind it."""

from __future__ import annotations

import pkgutil
import re
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Final, cast

from djq.codecs.codec import BUILTIN, Codec, registered
from djq.errors import CodecError
from djq.hints import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable

#: The extra that brings what a codec imports.
_EXTRAS: Final = {"arrow": "djq[frames]"}
#: Where packages announce theirs.
_GROUPS: Final = ("djq.codecs", "datajoint.codecs")
_FOLLOWING: Final = re.compile(r"<(?P<name>[a-z][a-z0-9_]*)(?:@(?P<store>\w*))?>\Z")


@dataclass(frozen=True, slots=True)
class Chain:
    """The codecs that a value passes on its way into the database, in this order."""

    links: tuple[Codec, ...]
    #: The type of the column, as definitions write it: `bytes`, `json`, `varchar(64)`, …
    column: str
    #: The store's name, empty for the default one; None: values stay in the row.
    store: str | None

    @property
    def n_own(self) -> int:
        """How many of the codecs, the first ones, are the user's own."""
        own = [i for i, link in enumerate(self.links, 1) if type(link).__module__[:4] != "djq."]
        return max(own, default=0)


def resolve(name: str, store: str | None) -> Chain:
    """Return the chain of the type `<name>` (`store` is None) or `<name@store>`.

    Raises
    ------
    CodecError
        A codec is unknown, needs a store or cannot use one, or leads back to itself.
    """
    links: list[Codec] = []
    while True:
        codec = get(name)
        if codec in links:
            path = " → ".join(f"<{link.name}>" for link in [*links, codec])
            message = f"the codecs lead in a circle: {path}"
            raise CodecError(message)
        links.append(codec)
        column = cast("object", codec.get_dtype(is_store=store is not None))
        if not isinstance(column, str):
            message = f"<{name}>: get_dtype returned {column!r} instead of a type, such as <blob>"
            raise CodecError(message)
        following = _FOLLOWING.match(column.strip())
        if following is None:
            return Chain(tuple(links), column.strip(), store)
        name = following["name"]
        store = following["store"] or (following["store"] if store is None else store)


def get(name: str) -> Codec:
    """Return the codec called `name`.

    Raises
    ------
    CodecError
        There is none, or what it needs is not installed.
    """
    if name in registered:
        return registered[name]
    if name in BUILTIN:
        return _load_builtin(name)
    for entry in _offered():
        if entry.name == name:
            found = entry.load()
            registered[name] = found() if isinstance(found, type) else found
            return registered[name]
    hint = did_you_mean(name, names(), shown="<{}>")
    known = ", ".join(f"<{each}>" for each in names())
    message = (
        f"unknown codec <{name}>. {hint}Known codecs: {known}. One of your own is known once its "
        "class is imported"
    )
    raise CodecError(message)


def names() -> tuple[str, ...]:
    """Return the names of all codecs, sorted: djq's, the imported ones, those of packages."""
    return tuple(sorted({*BUILTIN, *registered, *(entry.name for entry in _offered())}))


@cache
def _load_builtin(name: str) -> Codec:
    try:
        cls: type[Codec] = pkgutil.resolve_name(BUILTIN[name])
    except ModuleNotFoundError as error:
        message = f"<{name}> needs {error.name}: pip install '{_EXTRAS.get(name, 'djq')}'"
        raise CodecError(message) from error
    return cls()


def _offered() -> Iterable[Any]:
    return [entry for group in _GROUPS for entry in entry_points(group=group)]
