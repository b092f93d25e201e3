"""Text as MySQL handles it, for SQLite: by characters, and with NUL as one of them."""

from __future__ import annotations

import binascii
import hashlib
import re
import warnings
from functools import lru_cache
from typing import TYPE_CHECKING

from djq.sql.embedded.numbers import signed

if TYPE_CHECKING:
    from collections.abc import Callable

    from djq.definition.acceptance import Value

#: Longer results are null, as in MariaDB with its default settings [bytes].
MAX_RESULT = 16 * 1024 * 1024


def as_bytes(value: Value) -> bytes:
    """Return text as UTF-8."""
    return value if isinstance(value, bytes) else str(value).encode()


def substring(text: str, start: int, length: int | None = None) -> str:
    """Return characters from a place on; the first is 1, the last -1, and at 0 there is none."""
    if start == 0 or start < -len(text) or (length is not None and length < 1):
        return ""
    first = start - 1 if start > 0 else len(text) + start
    return text[first:] if length is None else text[first : first + length]


def locate(part: str, text: str, start: int = 1) -> int:
    """Return where `part` begins, from 1; 0 if nowhere."""
    if not 1 <= start <= len(text) + 1:
        return 0
    return text.find(part, start - 1) + 1


def substring_index(text: str, delimiter: str, count: int) -> str:
    """Return what stands before the n-th delimiter, or behind the n-th from the end."""
    if not count or not delimiter:
        return ""
    parts = text.split(delimiter)
    if count > 0:
        return delimiter.join(parts[:count])
    if len(parts) <= -count:
        return text
    # From the end, where delimiters may overlap.
    rest, found = text, len(text)
    for _ in range(-count):
        found = rest.rfind(delimiter)
        if found < 0:
            return text
        rest = rest[:found]
    return text[found + len(delimiter) :]


def pad(text: str, length: int, filling: str, *, left: bool) -> str | None:
    """Return text cut or filled up to a length."""
    if length < 0:
        return None
    if length <= len(text):
        return text[:length]
    if not filling:
        return ""
    if length > MAX_RESULT // 4:
        return None
    missing = length - len(text)
    more = (filling * (missing // len(filling) + 1))[:missing]
    return more + text if left else text + more


def repeat(text: str, count: int) -> str | None:
    """Return text many times."""
    if count < 1:
        return ""
    return None if len(as_bytes(text)) * count > MAX_RESULT else text * count


def replace(text: str, old: str, new: str) -> str:
    """Return text with every `old` as `new`."""
    return text.replace(old, new) if old else text


def trim(text: str, what: str, where: str) -> str:
    """Leave `what` out at the ends, as often as it is there."""
    if not what:
        return text
    while where != "trailing" and text.startswith(what):
        text = text[len(what) :]
    while where != "leading" and text.endswith(what):
        text = text[: -len(what)]
    return text


def changed(text: str, convert: Callable[[str], str]) -> str:
    """Convert each character that has one of another case."""
    if text.isascii():
        return convert(text)
    return "".join(c if len(convert(c)) != 1 else convert(c) for c in text)


def concat_ws(*texts: Value) -> str | None:
    """Join what is not null."""
    return None if texts[0] is None else str(texts[0]).join(t for t in texts[1:] if t is not None)


def field(*values: Value) -> int:
    """Return the place of the first value among the others, from 1; 0 if nowhere."""
    first, *others = values
    return 0 if first is None or first not in others else others.index(first) + 1


def find_in_set(part: str, names: str) -> int:
    """Return the place of a word in a list with commas, from 1; 0 if nowhere."""
    items = names.split(",")
    return 0 if "," in part or not names or part not in items else items.index(part) + 1


def hexadecimal(value: Value) -> str:
    """Return the digits of a number's 64 bits, or of text in UTF-8."""
    if isinstance(value, int):
        return f"{value & (2**64 - 1):X}"
    return as_bytes(value).hex().upper()


def unhex(text: str) -> bytes | None:
    """Return the bytes that digits stand for; null if they are none."""
    try:
        return binascii.unhexlify(("0" if len(text) % 2 else "") + text)
    except ValueError:
        return None


def digest(value: Value, bits: int) -> str | None:
    """Return SHA2(x, bits)."""
    name = {0: "sha256", 224: "sha224", 256: "sha256", 384: "sha384", 512: "sha512"}.get(bits)
    return hashlib.new(name, as_bytes(value)).hexdigest() if name else None


def like(text: str, pattern: str) -> int:
    """Tell whether text has the pattern of LIKE, with a backslash as escape."""
    return int(_like_pattern(pattern).fullmatch(str(text)) is not None)


@lru_cache(maxsize=256)
def _like_pattern(pattern: str) -> re.Pattern[str]:
    words = {"%": ".*", "_": "."}
    pieces: list[str] = re.findall(r"\\.|.", pattern, flags=re.DOTALL)
    found = [words[p] if p in words else re.escape(p[1:] or p) for p in pieces]
    return re.compile("".join(found), flags=re.DOTALL)


def regexp(text: str, pattern: str) -> int:
    """Tell whether a regular expression is found in text; upper and lower case differ."""
    return int(_regular(pattern).search(str(text)) is not None)


#: Classes of characters in the notation of POSIX, which Python lacks.
_POSIX = {
    "alpha": r"^\W\d_",
    "digit": r"\d",
    "alnum": r"^\W_",
    "space": r"\s",
    "blank": r" \t",
    "word": r"\w",
    "upper": "A-Z",
    "lower": "a-z",
    "xdigit": "0-9A-Fa-f",
    "punct": r"!-/:-@\[-`{-~",
    "cntrl": r"\x00-\x1f\x7f",
}


@lru_cache(maxsize=256)
def _regular(pattern: str) -> re.Pattern[str]:
    if not pattern:  # as MySQL does
        message = "the pattern is empty"
        raise ValueError(message)

    def python(match: re.Match[str]) -> str:
        inside = _POSIX.get(match[1])
        if inside is None:
            message = f"unknown class of characters [:{match[1]}:]"
            raise ValueError(message)
        return inside

    translated = re.sub(r"(?<=\[)\[:alpha:\](?=\])", r"^\\W\\d_", pattern)
    translated = re.sub(r"(?<=\[)\[:alnum:\](?=\])", r"^\\W_", translated)
    translated = re.sub(r"\[:alpha:\]", "A-Za-z", translated)
    translated = re.sub(r"\[:alnum:\]", "A-Za-z0-9", translated)
    translated = re.sub(r"\[:([a-z]+):\]", python, translated)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return re.compile(translated)


def leading_number(text: str) -> float:
    """Return the number at the beginning of text; 0 if there is none."""
    match = re.match(r"\s*[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?", text)
    return float(match[0]) if match else 0.0


def _length(x: Value) -> Value:
    return len(as_bytes(x))


def _upper(x: Value) -> Value:
    return changed(x, str.upper)


def _lower(x: Value) -> Value:
    return changed(x, str.lower)


def _left(x: Value, n: Value) -> Value:
    return x[: max(n, 0)]


def _right(x: Value, n: Value) -> Value:
    return x[-n:] if n > 0 else ""


def _reverse(x: Value) -> Value:
    return x[::-1]


def _lpad(x: Value, n: Value, p: Value) -> Value:
    return pad(x, n, p, left=True)


def _rpad(x: Value, n: Value, p: Value) -> Value:
    return pad(x, n, p, left=False)


def _ascii(x: Value) -> Value:
    return as_bytes(x)[0] if x else 0


def _from_hex(x: Value) -> Value:
    return signed(int(x, 16))


FUNCTIONS: dict[str, tuple[int, Callable[..., Value]]] = {
    "char_length": (1, len),
    "length": (1, _length),
    "upper": (1, _upper),
    "lower": (1, _lower),
    "trim": (3, trim),
    "substring": (-1, substring),
    "left": (2, _left),
    "right": (2, _right),
    "replace": (3, replace),
    "reverse": (1, _reverse),
    "repeat": (2, repeat),
    "lpad": (3, _lpad),
    "rpad": (3, _rpad),
    "locate": (-1, locate),
    "find_in_set": (2, find_in_set),
    "substring_index": (3, substring_index),
    "hex": (1, hexadecimal),
    "unhex": (1, unhex),
    "ascii": (1, _ascii),
    "sha2": (2, digest),
    "like": (2, like),
    "regexp": (2, regexp),
    "leading_number": (1, leading_number),
    "from_hex": (1, _from_hex),
}
#: They do something else with null than to return it.
NULLABLE: dict[str, tuple[int, Callable[..., Value]]] = {
    "concat_ws": (-1, concat_ws),
    "field": (-1, field),
}
