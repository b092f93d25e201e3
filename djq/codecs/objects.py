"""Arrays that are more than bytes ↔ extension payloads: objects, texts of any length, masks."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Final, cast

import numpy as np

from djq.codecs import arrays, dtypes
from djq.codecs.extensions import Extension
from djq.codecs.grids import sizes
from djq.errors import CodecError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from djq.codecs.extensions import Pack, Unpack
    from djq.codecs.messagepack import Value

#: NumPy's kinds of Python objects, and of texts of any length.
OBJECT_KIND: Final = "O"
TEXT_KIND: Final = "T"


def is_more_than_bytes(value: NDArray[Any] | np.generic[Any]) -> bool:
    """Return whether an array or scalar has objects, texts of any length or a mask."""
    return value.dtype.hasobject or isinstance(value, np.ma.MaskedArray)


def write(value: NDArray[Any] | np.generic[Any], pack: Pack) -> tuple[Extension, bytes]:
    """Return the extension and payload of an array, or of a structured scalar with objects.

    Raises
    ------
    CodecError
        The array's class cannot be stored, or something in it.
    """
    if isinstance(value, np.ma.MaskedArray):
        return Extension.MASKED_ARRAY, pack(_masked_content(cast("Any", value)))
    array = np.asanyarray(value)
    arrays.check_class(array)
    shape = None if isinstance(value, np.generic) else list(value.shape)
    if array.dtype.names is not None:
        return Extension.STRUCTURED_ARRAY, pack([shape, *_structured_content(array)])
    items = array.reshape(-1).tolist()
    if array.dtype.kind == TEXT_KIND:
        return Extension.TEXTS, pack([shape, items, *_missing_text(array.dtype)])
    return Extension.OBJECT_ARRAY, pack([shape, items])


def parts(value: NDArray[Any] | np.generic[Any]) -> Iterator[tuple[str, object]]:
    """Yield what an array or scalar holds beside bytes, each with the text that would reach it."""
    if not is_more_than_bytes(value):
        return
    if isinstance(value, np.ma.MaskedArray):
        yield ".data", cast("Any", value).data
    elif value.dtype.names is not None:
        for name in value.dtype.names:
            yield f'["{name}"]', cast("Any", value)[name]
    elif value.dtype.kind == OBJECT_KIND:
        for position in np.ndindex(value.shape):
            yield f"[{', '.join(map(str, position)) or '()'}]", cast("Any", value)[position]


def _masked_content(array: np.ma.MaskedArray[Any, Any]) -> list[object] | None:
    if array is np.ma.masked:
        return None
    if type(array) is not np.ma.MaskedArray:
        message = (
            f"{type(array).__name__} cannot be stored; "
            "store the array that it came from, or its data and mask as two arrays"
        )
        raise CodecError(message)
    mask = None if array.mask is np.ma.nomask else np.asarray(array.mask)
    # The public attribute would set the default, which then limits what the array can become.
    fill_value: Value = cast("Any", array)._fill_value  # noqa: SLF001
    if fill_value is not None:
        # NumPy's default for objects and texts is of another dtype.
        fill_value = np.asarray(fill_value).astype(array.dtype)
        if fill_value.shape != ():
            message = f"the fill value of a masked array is no single value: {fill_value!r}"
            raise CodecError(message)
    return [array.data, mask, fill_value, array.hardmask]


def _structured_content(array: NDArray[Any]) -> list[object]:
    names = cast("tuple[str, ...]", array.dtype.names)
    return [
        list(names),
        dtypes.titles(array.dtype),
        array.dtype.isalignedstruct,
        array.dtype.type is np.record,
        [array.view(np.ndarray)[name] for name in names],
    ]


def _missing_text(dtype: Any) -> list[object]:  # noqa: ANN401 - NumPy's stubs lack its attributes
    """Return what stands for a missing text, as a list of none or one, and whether it converts."""
    if not hasattr(dtype, "na_object"):
        return [[], dtype.coerce]
    missing = dtype.na_object
    if missing is None or (isinstance(missing, float) and math.isnan(missing)):
        return [[missing], dtype.coerce]
    message = f"NumPy texts whose na_object is {missing!r} cannot be stored; use None or nan for it"
    raise CodecError(message)


def _fill(shape: object, items: object, dtype: np.dtype[Any]) -> NDArray[Any]:
    """Return an array of `items`, which must be as many as the shape needs."""
    found = sizes(shape)
    elements = cast("Sequence[Value]", items) if isinstance(items, list) else ()
    if math.prod(found) != len(elements):
        message = f"an array of shape {found} has {len(elements)} elements"
        raise CodecError(message)
    array = arrays.empty(found, dtype)
    # Assigned as a list, objects that are lists or arrays would be taken apart; as an iterator,
    # texts take the process down (NumPy 2.4).
    is_text = dtype.kind == TEXT_KIND
    array.reshape(-1)[:] = elements if is_text else np.fromiter(elements, dtype, len(elements))
    return array


def _read_objects(data: bytes, unpack: Unpack) -> NDArray[Any]:
    shape, items = unpack(data)
    return _fill(shape, items, np.dtype(object))


def _read_texts(data: bytes, unpack: Unpack) -> NDArray[Any]:
    shape, items, missing, is_coercing = unpack(data)
    dtype = _text_dtype(missing, is_coercing=is_coercing)
    if not all(isinstance(item, str) or missing for item in items):
        message = "an element of an array of texts is none"
        raise CodecError(message)
    return _fill(shape, items, dtype)


def _text_dtype(missing: Sequence[object], *, is_coercing: bool) -> np.dtype[Any]:
    options: dict[str, Any] = {"coerce": bool(is_coercing)}
    if missing:
        (options["na_object"],) = missing
    dtype = cast("np.dtype[Any]", np.dtypes.StringDType(**options))
    _missing_text(dtype)
    return dtype


def _read_structured(data: bytes, unpack: Unpack) -> NDArray[Any] | np.generic[Any]:
    shape, names, titles, is_aligned, is_record, columns = unpack(data)
    array = join_fields(
        names,
        [_like(column) for column in columns],
        sizes([] if shape is None else shape),
        titles=titles,
        is_aligned=bool(is_aligned),
        is_record=bool(is_record),
    )
    return cast("Any", array[()]) if shape is None else array


def join_fields(
    names: Sequence[str],
    columns: Sequence[NDArray[Any]],
    shape: tuple[int, ...],
    *,
    titles: Sequence[str | None] = (),
    is_aligned: bool = False,
    is_record: bool = False,
) -> NDArray[Any]:
    """Return a structured array of its own memory.

    Parameters
    ----------
    names, titles
        Of the fields.
    columns
        The values of each field: `shape`, then the shape of the field itself.
    is_record
        Return a record array.

    Raises
    ------
    CodecError
        A column has another shape.
    ValueError
        NumPy has no such dtype.
    """
    if not all(column.shape[: len(shape)] == shape for column in columns):
        message = f"a field of a structured array of shape {shape} has another shape"
        raise CodecError(message)
    formats = [(column.dtype, column.shape[len(shape) :]) for column in columns]
    fields: dict[str, Any] = {"names": names, "formats": formats}
    if any(title is not None for title in titles):
        fields["titles"] = titles
    dtype: np.dtype[Any] = np.dtype(cast("Any", fields), align=is_aligned)
    if is_record:
        dtype = np.dtype((np.record, dtype))
    array = arrays.empty(shape, dtype)
    for name, column in zip(names, columns, strict=True):
        array[name][...] = column
    return array


def _read_masked(data: bytes, unpack: Unpack) -> np.ma.MaskedArray[Any, Any]:
    content = unpack(data)
    if content is None:
        return np.ma.masked
    values, mask, fill_value, is_hard = content
    dtype, shape = _like(values).dtype, _like(values).shape
    # NumPy's default of fields of 16-bit floats overflows.
    with np.errstate(over="ignore"):
        array: Any = np.ma.MaskedArray(
            values,
            np.ma.nomask if mask is None else _like(mask, np.ma.make_mask_descr(dtype), shape),
            hard_mask=bool(is_hard),
            copy=False,
        )
    if fill_value is not None:
        # The public attribute refuses texts of any length.
        array._fill_value = _like(fill_value, dtype, ())  # noqa: SLF001
    return cast("np.ma.MaskedArray[Any, Any]", array)


def _like(
    array: Value, dtype: np.dtype[Any] | None = None, shape: tuple[int, ...] | None = None
) -> NDArray[Any]:
    """Return `array` if it is one without a mask, and of this dtype and shape."""
    if isinstance(array, np.ndarray) and not isinstance(array, np.ma.MaskedArray):
        found = cast("NDArray[Any]", array)
        # None equals the dtype of 64-bit floats.
        is_dtype = dtype is None or dtype == found.dtype
        if is_dtype and shape in (None, found.shape):
            return found
    message = "the parts of an array do not fit each other"
    raise CodecError(message)


READERS: Final[Mapping[int, Callable[[bytes, Unpack], Any]]] = {
    Extension.OBJECT_ARRAY: _read_objects,
    Extension.TEXTS: _read_texts,
    Extension.STRUCTURED_ARRAY: _read_structured,
    Extension.MASKED_ARRAY: _read_masked,
}
