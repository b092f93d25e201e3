"""A codec's name in a definition → the codec."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from djq.codecs import blob
from djq.errors import CodecError
from djq.hints import did_you_mean

if TYPE_CHECKING:
    from djq.codecs.messagepack import Value


class Codec(Protocol):
    """Turns the values of an attribute into bytes and back."""

    @property
    def name(self) -> str:
        """How a definition names it, without the angle brackets."""
        ...

    def encode(self, value: object) -> bytes:
        """Return `value` as bytes; CodecError if that cannot be."""
        ...

    def decode(self, data: bytes | bytearray | memoryview) -> Value:
        """Return the value; CodecError if the bytes are not of this codec."""
        ...


@dataclass(frozen=True, slots=True)
class BlobCodec:
    """`<blob>`: any value, in djq's own format."""

    name: str = "blob"

    def encode(self, value: object) -> bytes:
        """Return `value` as a blob."""
        return blob.encode(value)

    def decode(self, data: bytes | bytearray | memoryview) -> Value:
        """Return the value of a blob."""
        return blob.decode(data)


_ALL: Final[tuple[Codec, ...]] = (BlobCodec(),)
_CODECS: Final = {codec.name: codec for codec in _ALL}


def get(name: str) -> Codec:
    """Return the codec called `name`.

    Raises
    ------
    CodecError
        There is none; the message names the nearest.
    """
    try:
        return _CODECS[name]
    except KeyError:
        hint = did_you_mean(name, _CODECS, shown="<{}>")
        known = ", ".join(f"<{each}>" for each in names())
        message = f"unknown codec <{name}>. {hint}Known codecs: {known}"
        raise CodecError(message) from None


def names() -> tuple[str, ...]:
    """Return the names of all codecs, sorted."""
    return tuple(sorted(_CODECS))
