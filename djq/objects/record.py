"""What a row says of a file or folder in a store."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, cast

from djq.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Self


@dataclass(frozen=True, repr=False)
class ObjectRecord:
    """The JSON of `<object@store>` and `<filepath@store>`, read.

    Attributes
    ----------
    path
        Within the store.
    store
        The store's name.
    size
        [bytes]; of a folder the sum; None: not known.
    sha256
        Of the file, or of the manifest of a folder, hexadecimal; None: not known.
    ext
        With its dot; None: none.
    item_count
        Files in the folder; None: a file, or not known.
    timestamp
        When it was stored, or the row inserted.
    """

    path: str
    store: str
    size: int | None = None
    is_dir: bool = False
    ext: str | None = None
    item_count: int | None = None
    sha256: str | None = None
    timestamp: datetime | None = None

    @classmethod
    def from_json(cls, stored: object) -> Self:
        """Return what a row holds, djq's or DataJoint's.

        Raises
        ------
        StorageError
            It is no reference to an object.
        """
        fields: Mapping[str, object] = {}
        if isinstance(stored, dict):
            fields = cast("Mapping[str, object]", stored)
        kinds: dict[str, Any] = {
            "path": str,
            "store": str,
            "size": int | None,
            "is_dir": bool,
            "ext": str | None,
            "item_count": int | None,
            "sha256": str | None,
        }
        found = {name: fields.get(name) for name in kinds}
        found["is_dir"] = found["is_dir"] or False
        if not all(isinstance(found[name], kind) for name, kind in kinds.items()):
            message = f"{str(fields)[:200]} is not a reference to a file or folder in a store"
            raise StorageError(message)
        return cls(**cast("dict[str, Any]", found), timestamp=_time(fields.get("timestamp")))

    def to_json(self) -> dict[str, Any]:
        """Return what a row holds: DataJoint's fields, and the hash as `sha256`."""
        return {
            "path": self.path,
            "store": self.store,
            "size": self.size,
            "sha256": self.sha256,
            "ext": self.ext,
            "is_dir": self.is_dir,
            "item_count": self.item_count,
            "timestamp": self.timestamp.isoformat() if self.timestamp else None,
        }

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    def __repr__(self) -> str:
        """Return what the row says."""
        kind = "folder" if self.is_dir else "file"
        size = "" if self.size is None else f", {self.size} bytes"
        return f"{type(self).__name__}({kind} {self.path!r} in {self.store!r}{size})"


def _time(text: object) -> datetime | None:
    try:
        return datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
