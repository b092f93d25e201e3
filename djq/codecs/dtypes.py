"""NumPy dtypes ↔ plain values that MessagePack carries, without ever evaluating text."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from djq.errors import CodecError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from djq.codecs.messagepack import Value

#: bool, integers, floats, complex, timedelta, datetime, bytes, text, raw bytes.
KINDS: Final = "biufcmMSUV"
_TEXT: Final = re.compile(
    r"([<>|][biufcmMSUV][0-9]{1,10}(?:\[[0-9]{0,10}[a-zA-Z]{1,7}\])?)(?:/([0-9]{1,3}))?"
)
#: Tells the 80-bit extended float of x86 from the 128-bit ones of other machines; both are `f16`.
_LONG_BITS: Final = int(np.finfo(np.longdouble).nmant)
_LONG_NAMES: Final = frozenset(np.dtype(t).str[1:] for t in (np.longdouble, np.clongdouble)) - {
    "f8",
    "c16",
}
_FIELDS: Final = frozenset(
    {"names", "formats", "offsets", "titles", "itemsize", "aligned", "record"}
)
_MAX_NESTING: Final = 16


def describe(dtype: np.dtype[Any]) -> object:
    """Return `dtype` as text, or as a map if it is structured; metadata is left out.

    Raises
    ------
    CodecError
        Elements of this dtype are not made of numbers, texts, dates and raw bytes alone.
    """
    if dtype.hasobject or dtype.kind not in KINDS:
        message = (
            f"NumPy arrays of dtype {dtype} cannot be stored; "
            "convert them with .astype to numbers, texts, dates or objects"
        )
        raise CodecError(message)
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return [describe(base), list(shape)]
    if dtype.fields is not None and dtype.names is not None:
        return _describe_fields(dtype, dtype.names, dtype.fields)
    text = dtype.str
    return f"{text}/{_LONG_BITS}" if text[1:] in _LONG_NAMES else text


def _describe_fields(
    dtype: np.dtype[Any], names: tuple[str, ...], fields: Mapping[Any, tuple[Any, ...]]
) -> dict[str, object]:
    return {
        "names": list(names),
        "formats": [describe(fields[name][0]) for name in names],
        "offsets": [fields[name][1] for name in names],
        "titles": titles(dtype),
        "itemsize": dtype.itemsize,
        "aligned": dtype.isalignedstruct,
        "record": dtype.type is np.record,
    }


def titles(dtype: np.dtype[Any]) -> list[str | None]:
    """Return the titles of the fields of a structured dtype.

    Raises
    ------
    CodecError
        A title is not text.
    """
    fields = cast("Mapping[Any, tuple[Any, ...]]", dtype.fields)
    # A field is its dtype and offset, and maybe a title.
    found = [(*fields[name], None)[2] for name in cast("tuple[str, ...]", dtype.names)]
    if not all(title is None or isinstance(title, str) for title in found):
        message = f"NumPy dtype {dtype!r} has a field title that is not text"
        raise CodecError(message)
    return found


def parse(description: Value, *, nesting: int = 0) -> np.dtype[Any]:
    """Return the dtype that `describe` described.

    Raises
    ------
    CodecError
        The description is malformed, or this machine has no such dtype.
    """
    if nesting > _MAX_NESTING:
        message = f"NumPy dtype nested deeper than {_MAX_NESTING} levels"
        raise CodecError(message)
    text = str(description)
    try:
        if isinstance(description, str):
            return _parse_text(description)
        if isinstance(description, list):
            base, shape = cast("Sequence[Any]", description)
            return np.dtype((parse(base, nesting=nesting + 1), tuple(shape)))
        return _parse_fields(description, nesting)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, MemoryError) as error:
        message = f"NumPy dtype {text[:80]!r} cannot be read on this machine"
        raise CodecError(message) from error


def _parse_text(text: str) -> np.dtype[Any]:
    match = _TEXT.fullmatch(text)
    if match is None:
        raise ValueError(text)
    name, bits = match.groups()
    if (str(_LONG_BITS) if name[1:] in _LONG_NAMES else None) != bits:
        raise ValueError(text)
    return np.dtype(name)


def _parse_fields(fields: Value, nesting: int) -> np.dtype[Any]:
    if fields.keys() != _FIELDS:
        raise ValueError(fields)
    spec = {
        "names": fields["names"],
        "formats": [parse(each, nesting=nesting + 1) for each in fields["formats"]],
        "offsets": fields["offsets"],
        "titles": fields["titles"],
        "itemsize": fields["itemsize"],
    }
    if not any(title is not None for title in fields["titles"]):
        del spec["titles"]
    dtype = np.dtype(cast("Any", spec), align=bool(fields["aligned"]))
    return np.dtype((np.record, dtype)) if fields["record"] else dtype
