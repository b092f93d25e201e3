"""What a folder in a store consists of: an object beside it, written last."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, cast

from djq.errors import ObjectCorruptedError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from djq.codecs.messagepack import Value

#: Follows the folder's path; DataJoint's name for it.
SUFFIX: Final = ".manifest.json"


@dataclass(frozen=True, slots=True)
class Member:
    """A file of a folder."""

    #: Within the folder, with `/`.
    path: str
    #: [bytes]
    size: int
    #: Hexadecimal; None: not computed.
    sha256: str | None = None

    def to_json(self) -> dict[str, Value]:
        """Return it as JSON values."""
        hashed = {} if self.sha256 is None else {"sha256": self.sha256}
        return {"path": self.path, "size": self.size, **hashed}


def encode(members: Iterable[Member], created: datetime) -> bytes:
    """Return a manifest, in order of the paths; the format is DataJoint's, and hashes."""
    files = sorted(members, key=lambda member: member.path)
    manifest = {
        "files": [member.to_json() for member in files],
        "total_size": sum(member.size for member in files),
        "item_count": len(files),
        "created": created.isoformat(),
    }
    return json.dumps(manifest, ensure_ascii=False).encode()


def decode(data: memoryview, path: str, sha256: str | None) -> tuple[Member, ...]:
    """Return the members of a manifest.

    Parameters
    ----------
    path
        Of the manifest, for messages.
    sha256
        Of the manifest as the row says it; None: unknown.

    Raises
    ------
    ObjectCorruptedError
        The object is another one than was stored, or no manifest.
    """
    problem = "it is no manifest"
    if sha256 is not None and hashlib.sha256(data).hexdigest() != sha256:
        problem = "it has another hash than its row says"
    else:
        try:
            return tuple(map(_member, json.loads(bytes(data))["files"]))
        except (ValueError, TypeError, KeyError, RecursionError):
            pass
    message = f"the object at {path} is damaged: {problem}; restore it from a backup"
    raise ObjectCorruptedError(message)


def _member(obj: Any) -> Member:  # noqa: ANN401 - JSON of a store
    path, size, sha256 = obj["path"], obj["size"], cast("object", obj.get("sha256"))
    if type(path) is not str or type(size) is not int or not isinstance(sha256, str | None):
        raise TypeError
    return Member(path, size, sha256)
