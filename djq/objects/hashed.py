"""`<hash@store>`: bytes under their content address, the end of most chains."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from djq.objects.storecodec import StoreCodec
from djq.storage.content import Reference

if TYPE_CHECKING:
    from collections.abc import Sequence

    from djq.codecs.codec import Context
    from djq.codecs.messagepack import Value
    from djq.storage.buffers import Buffer


class HashCodec(StoreCodec, register=False):
    """Bytes as an object of a store that is named after its content, once for equal bytes."""

    name: ClassVar[str] = "hash"
    values: ClassVar[str] = "its bytes"
    reads_objects: ClassVar[bool] = True

    def validate(self, value: object) -> None:
        """Refuse what is not bytes."""
        if not isinstance(value, bytes | bytearray | memoryview | list):
            message = f"<hash> takes bytes, not {type(value).__name__}: <blob> takes any value"
            raise TypeError(message)

    def encode(self, value: Buffer | Sequence[Buffer], *, context: Context) -> dict[str, Any]:
        """Put the bytes into the store, and return the reference."""
        store = context.open_store(context.store_name or "")
        reference: Reference = store.put(value)
        return reference.to_json()

    def decode(self, stored: Value, *, context: Context) -> memoryview:
        """Return the bytes of the object, verified."""
        reference = Reference.from_json(stored)
        found: memoryview = context.open_store(reference.store).get(reference)
        return found
