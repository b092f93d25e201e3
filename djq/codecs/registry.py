"""A codec's name in a definition → the codec, and the chain of codecs behind it."""

from __future__ import annotations

import pkgutil
import re
from dataclasses import dataclass
from functools import cache
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Final, cast

from djq.codecs.codec import BUILTIN, Codec, registered
from djq.errors import CodecError
from djq.hints import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable
    from importlib.metadata import EntryPoint

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
        A codec is unknown, names no type, needs a store or cannot use one, or leads back to itself.
    """
    links: list[Codec] = []
    while True:
        codec = get(name)
        if codec in links:
            path = " → ".join(f"<{link.name}>" for link in [*links, codec])
            message = f"the codecs lead in a circle: {path}"
            raise CodecError(message)
        links.append(codec)
        column = _dtype(name, codec, is_store=store is not None)
        following = _FOLLOWING.match(column)
        if following is None:
            return Chain(tuple(links), column, store)
        name = following["name"]
        store = following["store"] or (following["store"] if store is None else store)


def _dtype(name: str, codec: Codec, *, is_store: bool) -> str:
    if type(codec).get_dtype is Codec.get_dtype:
        message = (
            f"<{name}>: {type(codec).__qualname__} does not say what keeps its values: write "
            'def get_dtype(self, is_store), which returns a type, such as "<blob>"'
        )
        raise CodecError(message)
    found = cast("object", codec.get_dtype(is_store=is_store))
    if not isinstance(found, str):
        message = f"get_dtype of <{name}> returned {found!r} instead of a type, such as <blob>"
        raise CodecError(message)
    return found.strip()


def get(name: str) -> Codec:
    """Return the codec called `name`.

    Raises
    ------
    CodecError
        There is none, what it needs is not installed, or its package is broken.
    """
    if name in registered:
        return registered[name]
    if name in BUILTIN:
        return _load_builtin(name)
    for entry in _offered():
        if entry.name == name:
            registered[name] = _load(entry)
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


def _load(entry: EntryPoint) -> Codec:
    """Return the codec that a package offers, whose code may be broken in any way."""
    try:
        found = entry.load()
        return cast("Codec", found() if isinstance(found, type) else found)
    except Exception as error:
        package = f" of the package {entry.dist.name}" if entry.dist is not None else ""
        message = (
            f'<{entry.name}>: the entry point "{entry.value}"{package} cannot be loaded: '
            f"{type(error).__name__}: {error}. Install what it needs, or mend the package"
        )
        raise CodecError(message) from error


def _offered() -> Iterable[EntryPoint]:
    return [entry for group in _GROUPS for entry in entry_points(group=group)]
