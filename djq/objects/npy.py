"""`<npy@store>`: an array as a `.npy` file, as DataJoint keeps it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np

from djq.codecs import arrays
from djq.errors import StorageError
from djq.objects.arrayref import ArrayRef
from djq.objects.expecting import a_shape, an_array
from djq.objects.located import StoredObject
from djq.objects.npyformat import parse_dtype, write_head
from djq.objects.npyref import NpyRef
from djq.objects.rowplace import RowPlace
from djq.objects.storecodec import StoreCodec
from djq.storage.content import Reference

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from djq.codecs.codec import Context
    from djq.codecs.messagepack import Value
    from djq.storage.buffers import Buffer
    from djq.storage.content import ContentStore


class NpyCodec(StoreCodec, register=False):
    """An array as a `.npy` file under its content address; files of DataJoint are read, too."""

    name: ClassVar[str] = "npy"
    values: ClassVar[str] = "its arrays"
    makes_handles: ClassVar[bool] = True

    def validate(self, value: object) -> None:
        """Refuse what is no array, or holds what such a file does not carry."""
        if not isinstance(value, ArrayRef | NpyRef):
            write_head(an_array(value, self.name))

    def encode(self, value: Value, *, context: Context) -> dict[str, Any]:
        """Put the file into the store, and return what the row says of it."""
        content: ContentStore = context.open_store(context.store_name or "")
        array: NDArray[Any] = np.asarray(value)
        head, dtype = write_head(array)
        # As the header tells: what lies in neither order is written in C order.
        lying = array.T if array.flags.f_contiguous and not array.flags.c_contiguous else array
        parts: list[Buffer] = [head]
        if array.nbytes:
            parts.append(memoryview(cast("Any", arrays.to_bytes(lying))))
        return {
            **content.put(parts).to_json(),
            "shape": list(array.shape),
            "dtype": str(dtype),
        }

    def decode(self, stored: Value, *, context: Context) -> NpyRef:
        """Return a handle; nothing is read."""
        reference = _reference(stored)
        content: ContentStore = context.open_store(reference.store)
        return NpyRef(
            StoredObject(content, reference, RowPlace.of(context)),
            a_shape(stored.get("shape")),
            parse_dtype(stored.get("dtype")),
        )


def _reference(stored: Value) -> Reference:
    """Return the reference of a row; one that DataJoint wrote has neither hash nor size."""
    try:
        return Reference.from_json(stored)
    except StorageError:
        if not isinstance(stored, dict):
            raise
        fields = cast("Mapping[str, Any]", stored)
        store, path = fields.get("store"), fields.get("path")
        if not isinstance(store, str) or not isinstance(path, str) or "hash" in fields:
            raise
        return Reference(store, path, "", -1)
