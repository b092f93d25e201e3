"""Where in a store the files of rows lie: `object/schema/table/key=value/attribute_token.ext`."""

from __future__ import annotations

import hashlib
import re
import secrets
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from djq.errors import CodecError
from djq.storage.content import FOLDER as HASH_FOLDER

if TYPE_CHECKING:
    from collections.abc import Mapping

    from djq.codecs.codec import Context
    from djq.codecs.messagepack import Value

#: The folder of files and folders that rows own, one each, beside what has a content address.
FOLDER: Final = "object"
#: What djq, and DataJoint, look after: nobody else's files lie there.
RESERVED: Final = (FOLDER, HASH_FOLDER, "_hash", "_schema")
_OWN_PREFIX: Final = ".djq-"
#: Of one value in a path [bytes]; longer ones end in their hash.
_MAX_VALUE_BYTES: Final = 80
#: Of the whole key in a path [bytes]: it leaves room for the files in a folder.
_MAX_KEY_BYTES: Final = 320
#: Nobody meets this among all rows of a table.
_N_TOKEN_BYTES: Final = 8
_EXTENSION: Final = re.compile(r"\.?[A-Za-z0-9][A-Za-z0-9_.+-]{0,30}")
#: A suffix before one of these belongs to it: `.nii.gz`.
_COMPRESSED: Final = frozenset({".gz", ".bz2", ".xz", ".zst", ".lz4"})


def new_path(context: Context, ext: str) -> str:
    """Return a path that no other object has, at the place of a row's attribute."""
    token = secrets.token_hex(_N_TOKEN_BYTES)
    attribute = f"{_short(context.attribute or 'value')}_{token}{ext}"
    names = [_short(name) for name in (context.schema, context.table) if name]
    return "/".join([FOLDER, *names, *_of_key(context.key), attribute])


def check_extension(ext: str) -> str:
    """Return an extension with its dot, or nothing.

    Raises
    ------
    CodecError
        It is not the end of a file's name.
    """
    if not isinstance(ext, str) or (ext and (not _EXTENSION.fullmatch(ext) or ".." in ext)):  # pyright: ignore[reportUnnecessaryIsInstance] # the user's
        message = f'{ext!r} is not an extension: write ".bin", or "" for none'
        raise CodecError(message)
    return f".{ext}" if ext and not ext.startswith(".") else ext


def extension_of(name: str) -> str:
    """Return the extension of a file's name, `.nii.gz` whole; nothing if it is an odd one."""
    stem, dot, last = name.rpartition(".")
    if not stem or not dot:
        return ""
    ext = f".{last}"
    if ext.lower() in _COMPRESSED:
        inner, _, before = stem.rpartition(".")
        ext = f".{before}{ext}" if inner and before else ext
    return ext if _EXTENSION.fullmatch(ext) and ".." not in ext else ""


def is_reserved(path: str) -> bool:
    """Tell whether a path of a store is where djq or DataJoint keep their objects."""
    first = path.split("/", 1)[0]
    return first in RESERVED or first.startswith(_OWN_PREFIX)


def _of_key(key: Mapping[str, Value]) -> list[str]:
    parts = [f"{_short(name)}={_short(_text(value))}" for name, value in key.items()]
    if len("/".join(parts)) <= _MAX_KEY_BYTES:
        return parts
    return [f"key={hashlib.sha256('/'.join(parts).encode()).hexdigest()}"]


def _text(value: Value) -> str:
    return value.hex() if isinstance(value, bytes) else str(value)


def _short(text: str) -> str:
    """Return text as part of a path: percent-encoded, and of bounded length."""
    quoted = quote(text, safe="", errors="surrogatepass")
    if len(quoted) <= _MAX_VALUE_BYTES:
        return quoted
    digest = hashlib.sha256(quoted.encode()).hexdigest()[:16]
    # A sequence that is cut would be no text any more.
    return f"{re.sub('%[^%]{0,1}$', '', quoted[: _MAX_VALUE_BYTES - 17])}~{digest}"
