"""An attribute's codecs, bound to a connection: values on their way into a row, and back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache, partial
from typing import TYPE_CHECKING, Any

from djq.codecs.codec import Codec, Context, extras
from djq.codecs.registry import Chain, resolve
from djq.definition.acceptance import Value
from djq.definition.attributes import CodecType
from djq.definition.grammar import Position, parse_type
from djq.errors import CodecError, DefinitionError

if TYPE_CHECKING:
    from djq.tables.connection import Connection

Step = Callable[[Value], Value]


def complete(type_: CodecType) -> CodecType:
    """Return a codec's type with that of its column, as its chain of codecs ends.

    Raises
    ------
    CodecError
        A codec is unknown, needs a store or cannot use one, or ends in no type.
    """
    column = resolve(type_.codec, type_.store).column
    try:
        kept = parse_type(Position(f"<{type_.codec}>", 1, column), column)
    except DefinitionError as error:
        message = f"<{type_.codec}> ends in the type {column!r}, which is none: {error}"
        raise CodecError(message) from error
    if isinstance(kept, CodecType):
        message = f"<{type_.codec}> ends in {column!r}: write the next codec as <blob>"
        raise CodecError(message)
    plain = replace(type_, column=None)
    return plain if kept == plain.kept else replace(type_, column=kept)


@dataclass(frozen=True)
class Coding:
    """The codecs of one attribute.

    The user's own are called by the thread that inserts or fetches, in the order of the rows. Those
    behind them are djq's, read and write objects, and may be called by several threads at once.
    """

    type: CodecType
    chain: Chain
    context: Context
    accept: Step

    @classmethod
    def of(
        cls, type_: CodecType, connection: Connection, place: tuple[str, str, str] = ("", "", "")
    ) -> Coding:
        """Return the coding of an attribute; `place` is its schema, table and name."""
        chain = _chain(type_.codec, type_.store)
        store = connection.settings.default_store if chain.store == "" else chain.store
        context = Context(
            *place,
            store_name=store,
            open_store=connection.store,
            download_path=connection.settings.download_path,
        )
        dialect, column = connection.database.dialect, type_.column
        accept: Step = _bytes if chain.store is None else _as_it_is
        accept = accept if column is None else dialect.accept(column)
        return cls(type_, chain, context, accept)

    @cached_property
    def has_store(self) -> bool:
        """Whether values leave the row, so that it pays to move many at a time."""
        return self.chain.store is not None

    @cached_property
    def needs_key(self) -> bool:
        """Whether a codec asks for the key of the row."""
        return any(_needs_key(link) for link in self.chain.links)

    def at(self, key: Mapping[str, Value]) -> Coding:
        """Return the coding of one row's value."""
        return replace(self, context=replace(self.context, key=key)) if self.needs_key else self

    # --- into the row --------------------------------------------------------------------------

    def encode(self, value: Value) -> Value:
        """Return what the column keeps; an object is in its store by then."""
        return self.keep(self.prepare(value))

    @cached_property
    def prepare(self) -> Step:
        """Encode a value by the user's codecs; what djq's first one takes, can be stored then."""
        own, rest = self.chain.links[: self.chain.n_own], self.chain.links[self.chain.n_own :]
        steps = [_encoding(link, self.context) for link in own]
        return _compose([*steps, *(_validating(link) for link in rest[:1] if _validates(link))])

    @cached_property
    def keep(self) -> Step:
        """Encode by djq's codecs what `prepare` returned."""
        links = self.chain.links[self.chain.n_own :]
        steps = [_call(link, "encode", self.context) for link in links[:1]]
        steps += [_encoding(link, self.context) for link in links[1:]]
        return _compose([*steps, self.accept])

    def check(self, value: Value) -> Value:
        """Refuse what `encode` would refuse, without writing an object."""
        for link in self.chain.links:
            link.validate(value)
            if link.writes_objects:
                return value
            value = _call(link, "encode", self.context)(value)
        return self.accept(value)

    # --- out of the row ------------------------------------------------------------------------

    @cached_property
    def load(self) -> Step | None:
        """Decode by djq's codecs what the column refers to; None: nothing has to be read."""
        links = self.chain.links[self.chain.n_own :]
        if not any(link.reads_objects for link in links):
            return None
        return _compose([*(self._decoding(link) for link in reversed(links)), _own_bytes])

    @cached_property
    def makes_handles(self) -> bool:
        """Whether `handle` comes before `finish`."""
        links, n_own = self.chain.links, self.chain.n_own
        return n_own < len(links) and links[-1].makes_handles

    def handle(self, key: Mapping[str, Value], value: Value) -> Value:
        """Decode by djq's codec into what reads later, and names its row when it fails."""
        known = self.context
        # As `replace`, in half of its time.
        context = Context(
            known.schema,
            known.table,
            known.attribute,
            known.store_name,
            key,
            known.open_store,
            known.download_path,
        )
        return self.chain.links[-1].decode(value, context=context)

    @cached_property
    def finish(self) -> Step:
        """Decode what `load` or `handle` returned, or all of what is in the row."""
        is_begun = self.load is not None or self.makes_handles
        links = self.chain.links[: self.chain.n_own] if is_begun else self.chain.links
        steps = [stored_bytes] if self.accept is _bytes and not is_begun else []
        return _compose([*steps, *(self._decoding(link) for link in reversed(links))])

    def _decoding(self, link: Codec) -> Step:
        return _call(link, "decode", self.context)


@lru_cache(maxsize=1024)
def _chain(codec: str, store: str | None) -> Chain:
    return resolve(codec, store)


def _needs_key(link: Codec) -> bool:
    wanted = {*extras(type(link).encode), *extras(type(link).decode)}
    return link.uses_key and not wanted.isdisjoint({"key", "context"})


def _encoding(link: Codec, context: Context) -> Step:
    encode = _call(link, "encode", context)
    return _compose([_validating(link), encode]) if _validates(link) else encode


def _validates(link: Codec) -> bool:
    return type(link).validate is not Codec.validate


def _validating(link: Codec) -> Step:
    def validate(value: Value) -> Value:
        link.validate(value)
        return value

    return validate


def _call(link: Codec, method: str, context: Context) -> Step:
    """Return a codec's method with what its signature asks for beside the value."""
    bound: Step = getattr(link, method)
    known = {"key": context.key, "store_name": context.store_name, "context": context}
    wanted: dict[str, Any] = {name: known[name] for name in extras(getattr(type(link), method))}
    return partial(bound, **wanted) if wanted else bound


def _compose(steps: Sequence[Step]) -> Step:
    if not steps:
        return _as_it_is
    if len(steps) == 1:
        return steps[0]

    def run(value: Value) -> Value:
        for step in steps:
            value = step(value)
        return value

    return run


def _as_it_is(value: Value) -> Value:
    return value


def _bytes(value: Value) -> Value:
    """Refuse what a column of bytes does not hold."""
    if isinstance(value, bytes):
        return value
    if isinstance(value, bytearray | memoryview):
        return bytes(value)  # pyright: ignore[reportUnknownArgumentType] # any buffer
    message = (
        f"its codec returned {type(value).__name__} for a column of bytes: "
        "let get_dtype name <blob>, or another type"
    )
    raise TypeError(message)


def stored_bytes(value: Value) -> bytes | bytearray | memoryview:
    """Return what a column of bytes holds.

    Raises
    ------
    CodecError
        It is none: SQLite keeps any value in any column.
    """
    if isinstance(value, bytes | bytearray | memoryview):
        return value  # pyright: ignore[reportUnknownVariableType] # any buffer
    message = (
        f"the column holds {type(value).__name__} instead of bytes, which djq did not write: "
        "store the value again by djq, or as bytes"
    )
    raise CodecError(message)


def _own_bytes(value: Value) -> Value:
    """Return what was read as bytes, which the user's codecs expect."""
    return bytes(value) if isinstance(value, memoryview) else value  # pyright: ignore[reportUnknownArgumentType] # any buffer
