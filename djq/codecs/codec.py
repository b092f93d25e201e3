"""`Codec`: what stands between a value and its column; also the base class of the user's own."""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final, cast

from djq.errors import CodecError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from djq.codecs.messagepack import Value

_NAME: Final = re.compile(r"[a-z][a-z0-9_]*\Z")
#: What `encode` and `decode` of a user's codec may ask for beside the value.
_EXTRAS: Final = ("key", "store_name", "context")
#: djq's own, by name, so that each loads only where a definition uses it.
BUILTIN: Final = {
    "arrow": "djq.codecs.frames:ArrowCodec",
    "array": "djq.objects.arrays:ArrayCodec",
    "attach": "djq.objects.attachments:AttachCodec",
    "blob": "djq.codecs.plain:BlobCodec",
    "filepath": "djq.objects.filepaths:FilepathCodec",
    "hash": "djq.objects.hashed:HashCodec",
    "npy": "djq.objects.npy:NpyCodec",
    "object": "djq.objects.managed:ObjectCodec",
}
#: Codecs that Python classes brought, by name. Importing the class is what makes it known.
registered: Final[dict[str, Codec]] = {}


def _no_store(name: str) -> Any:  # noqa: ANN401 - what a store is, the layers above know
    message = f'store "{name}" is out of reach here: this codec was called without a table'
    raise CodecError(message)


@dataclass(frozen=True, slots=True)
class Context:
    """The place of a value: which attribute of which row, and the stores around it.

    What is not known is empty: what a query computes, or a union or an aggregation brings, has no
    table; a row that is fetched without its primary key has no key. An attribute that a projection
    renamed has the name that its table knows, if there is one.
    """

    schema: str = ""
    table: str = ""
    attribute: str = ""
    #: The store of the attribute; None: the value stays in the row.
    store_name: str | None = None
    #: The primary key of the row, as far as it is known.
    key: Mapping[str, Value] = field(default_factory=dict[str, "Value"])
    #: Opens the store of a name.
    open_store: Callable[[str], Any] = _no_store
    #: Where files are written that are fetched.
    download_path: Path = Path()


class Codec:
    """Turns the values of an attribute into what its column holds, and back.

    Subclass it, give the class a `name`, and definitions may use it as `<name>` or `<name@store>`::

        class GraphCodec(dj.Codec):
            name = "graph"

            def get_dtype(self, is_store):
                return "<blob>"

            def encode(self, graph, *, key=None, store_name=None):
                return list(graph.edges)

            def decode(self, stored, *, key=None):
                return networkx.Graph(stored)

    The class registers itself; `class Base(dj.Codec, register=False)` does not. Packages offer
    theirs as entry points of the group `djq.codecs` (`datajoint.codecs` is looked at, too).

    `encode` and `decode` are called with those of `key` (the row's primary key, as far as it is
    known), `store_name` and `context` (`Context`) that their signatures name.

    Raises
    ------
    CodecError
        The class has no proper name, or another codec has that name.
    """

    name: ClassVar[str] = ""
    #: Whether `encode` writes objects: a dry run leaves it out.
    writes_objects: ClassVar[bool] = False
    #: Whether `decode` reads objects, so that it pays to decode many values at the same time.
    reads_objects: ClassVar[bool] = False
    #: Whether `decode` reads nothing, and returns what reads later: it is told the key of each row.
    makes_handles: ClassVar[bool] = False
    #: Whether `key` and `context.key` are looked at, which djq then fills for each row.
    uses_key: ClassVar[bool] = True

    def __init_subclass__(cls, *, register: bool = True, **options: Any) -> None:  # noqa: ANN401
        """Make the codec known by its name."""
        super().__init_subclass__(**options)
        if register:
            add(cls)

    def get_dtype(self, is_store: bool) -> str:
        """Return the type that keeps what `encode` returns: `bytes`, `json`, `<blob>`.

        `is_store` tells whether the attribute names a store, as in `<name@store>`; a codec that
        follows in the chain gets the same store.

        Raises
        ------
        CodecError
            The codec needs a store, or cannot use one.
        """
        raise NotImplementedError

    def validate(self, value: Any) -> None:  # noqa: ANN401 - the user's types
        """Refuse a value that cannot be encoded (TypeError, ValueError); called before `encode`."""

    def encode(self, value: Any, *args: Any, **extras: Any) -> Any:  # noqa: ANN401
        """Return `value` as a value of the type that `get_dtype` names."""
        message = "this codec cannot encode: write def encode(self, value) in its class"
        raise NotImplementedError(message)

    def decode(self, stored: Any, *args: Any, **extras: Any) -> Any:  # noqa: ANN401
        """Return the value that `encode` was given."""
        message = "this codec cannot decode: write def decode(self, stored) in its class"
        raise NotImplementedError(message)

    def referenced_paths(self, stored: Any) -> Iterable[tuple[str, str | None]]:  # noqa: ANN401
        """Return what a value of the column refers to: pairs of a path and its store's name.

        A path stands for the object there, and for all objects below it if it is a folder; a store
        of None is the default one. Garbage collection keeps these and nothing else, and asks the
        last codec of a chain without reading an object: a codec whose JSON is not `{"store": …,
        "path": …}` tells here what lies in stores.

        Parameters
        ----------
        stored
            What the row holds: JSON as a dict or as its text; anything else refers to nothing.
        """
        fields = fields_of(stored)
        path, store = fields.get("path"), fields.get("store")
        if not isinstance(path, str) or not path or not isinstance(store, str | None):
            return ()
        return ((path, store or None),)


def fields_of(stored: object) -> Mapping[str, object]:
    """Return what a JSON object holds, given as a dict or as its text; nothing of anything else."""
    if isinstance(stored, str | bytes):
        try:
            stored = json.loads(stored)
        except (ValueError, RecursionError):
            return {}
    return cast("Mapping[str, object]", stored) if isinstance(stored, dict) else {}


def add(cls: type[Codec]) -> None:
    """Make a codec known; a class of the same module and name takes the place of its elder.

    Raises
    ------
    CodecError
        It has no proper name, or another class has that name.
    """
    name = cls.__dict__.get("name", cls.name)
    if not isinstance(name, str) or not _NAME.match(name):
        message = (
            f"{cls.__qualname__}: a codec needs a name of lower-case letters, digits and "
            f'underscores, and has {name!r}: write name = "…" in the class, or '
            f"class {cls.__name__}(…, register=False) if it is only a base of others"
        )
        raise CodecError(message)
    home = BUILTIN.get(name) or (_home(type(registered[name])) if name in registered else "")
    if home not in {"", _home(cls)}:
        message = (
            f'{cls.__qualname__}: the name "{name}" belongs to the codec {home}: choose another one'
        )
        raise CodecError(message)
    registered[name] = cls()


def _home(cls: type) -> str:
    """Return where a class was written: run again, as in a notebook, it is the same one."""
    return f"{cls.__module__}:{cls.__qualname__}"


@lru_cache(maxsize=1024)
def extras(method: Callable[..., Any]) -> tuple[str, ...]:
    """Return which of `key`, `store_name` and `context` a method of a codec's class takes."""
    parameters = inspect.signature(method).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return _EXTRAS
    return tuple(name for name in _EXTRAS if name in parameters)
