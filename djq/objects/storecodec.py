"""`StoreCodec`: what the codecs have in common whose values lie in a store."""

from __future__ import annotations

from typing import ClassVar

from djq.codecs.codec import Codec
from djq.errors import CodecError


class StoreCodec(Codec, register=False):
    """A codec of which the row holds a reference, and a store all else."""

    writes_objects: ClassVar[bool] = True
    uses_key: ClassVar[bool] = False
    #: What lies in the store, for messages.
    values: ClassVar[str] = "its values"

    def get_dtype(self, is_store: bool) -> str:
        """Return `json`, which holds the reference.

        Raises
        ------
        CodecError
            No store is named.
        """
        if not is_store:
            message = (
                f"<{self.name}> needs a store for {self.values}: "
                f"write <{self.name}@store>, or <{self.name}@> for the default one"
            )
            raise CodecError(message)
        return "json"
