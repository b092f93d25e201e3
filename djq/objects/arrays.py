"""`<array@store>`: an array as an object of chunks, fetched as a handle that reads slices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from djq.codecs import arrays, dtypes
from djq.errors import CodecError
from djq.objects.arrayref import ArrayRef
from djq.objects.chunked import ChunkedArray, described
from djq.objects.expecting import a_shape, an_array
from djq.objects.located import StoredObject
from djq.objects.npyref import NpyRef
from djq.objects.rowplace import RowPlace
from djq.objects.storecodec import StoreCodec
from djq.storage.content import Reference

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from djq.codecs.codec import Context
    from djq.codecs.messagepack import Value
    from djq.storage.content import ContentStore


#: What comes before the chunks is their index, of some bytes for each, and is read at once.
_MAX_HEAD_BYTES: Final = 1 << 30


class ArrayCodec(StoreCodec, register=False):
    """An array in djq's own format, in chunks that serve slices along every axis."""

    name: ClassVar[str] = "array"
    values: ClassVar[str] = "its arrays"
    makes_handles: ClassVar[bool] = True

    def validate(self, value: object) -> None:
        """Refuse what is no array, or holds what cannot be stored."""
        if not isinstance(value, ArrayRef | NpyRef):
            an_array(value, self.name)

    def encode(self, value: Value, *, context: Context) -> dict[str, Any]:
        """Put the array into the store, and return what the row says of it."""
        content: ContentStore = context.open_store(context.store_name or "")
        if isinstance(value, ArrayRef):
            return value.copy_to(content)
        array: NDArray[Any] = np.asarray(value) if isinstance(value, NpyRef) else value
        parts = arrays.write(array, tiled=True)
        return described(content.put(parts), array.shape, array.dtype, len(parts[0]))

    def decode(self, stored: Value, *, context: Context) -> ArrayRef:
        """Return a handle; nothing is read."""
        reference = Reference.from_json(stored)
        n_head = stored.get("head")
        if type(n_head) is not int or not 0 <= n_head <= _MAX_HEAD_BYTES:
            message = f"{str(stored)[:200]} is not what <array> writes: it has no length of a head"
            raise CodecError(message)
        content: ContentStore = context.open_store(reference.store)
        return ArrayRef(
            ChunkedArray(
                StoredObject(content, reference, RowPlace.of(context)),
                n_head,
                a_shape(stored.get("shape")),
                dtypes.parse(stored.get("dtype")),
            )
        )
