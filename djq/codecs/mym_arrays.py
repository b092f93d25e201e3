"""Arrays, cells and structs in DataJoint's and mYm's blobs; all lie in Fortran order."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Any, Final, NoReturn

import numpy as np

from djq.codecs import objects
from djq.errors import CodecError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from djq.codecs.messagepack import Value
    from djq.codecs.mym_cursor import Cursor

    Shape = tuple[int, ...]

#: MATLAB's numbers of classes (mxClassID) whose elements are numbers.
_NUMBERS: Final[Mapping[int, np.dtype[Any]]] = {
    6: np.dtype("<f8"),
    7: np.dtype("<f4"),
    8: np.dtype("i1"),
    9: np.dtype("u1"),
    10: np.dtype("<i2"),
    11: np.dtype("<u2"),
    12: np.dtype("<i4"),
    13: np.dtype("<u4"),
    14: np.dtype("<i8"),
    15: np.dtype("<u8"),
}
_UNKNOWN, _LOGICAL, _CHAR, _VOID, _SINGLE = 0, 3, 4, 5, 7
#: DataJoint's own numbers count NumPy's units of time from here.
_DATETIMES: Final = {
    0x10000 + number: np.dtype(f"<M8[{unit}]")
    for number, unit in enumerate("Y M W D h m s ms us ns ps fs as".split())  # noqa: SIM905
}
#: Class, and whether an imaginary part follows the real one.
_CLASS: Final = struct.Struct("<II")
_N_FIELDS: Final = struct.Struct("<i")
#: An array takes as much time as so many plain values, and a dtype of fields as these.
_ARRAY_VALUES: Final = 2
_FIELDS_VALUES: Final = 32
#: NumPy's own limit.
_MAX_DIMENSIONS: Final = 64


def _read_shape(cursor: Cursor) -> Shape:
    cursor.pay(_ARRAY_VALUES)
    n_sizes = cursor.read_size()
    if n_sizes > _MAX_DIMENSIONS:
        message = f"an array of {n_sizes} dimensions"
        raise ValueError(message)
    return tuple(cursor.read_size() for _ in range(n_sizes))


def _read_array(cursor: Cursor) -> Value:
    """Read an array; one of no dimensions is a scalar, as DataJoint returns it."""
    shape = _read_shape(cursor)
    class_, is_complex = _CLASS.unpack(cursor.take(_CLASS.size))
    if class_ == _VOID:
        return _objects(cursor.read_items(math.prod(shape)), shape)
    if is_complex:
        flat = _read_complex(cursor, class_, shape)
    elif class_ == _CHAR:
        return _read_chars(cursor, shape)
    else:
        flat = _read_flat(cursor, class_, shape)
    array = _in_c_order(flat, shape)
    return array if shape else array[()]


def _read_flat(cursor: Cursor, class_: int, shape: Shape) -> NDArray[Any]:
    n_items = math.prod(shape)
    if class_ == _LOGICAL:
        return np.frombuffer(cursor.take(n_items), "u1").astype("?")
    # MATLAB leaves fields of new structs so.
    is_nothing = class_ == _UNKNOWN and n_items == 0
    dtype = np.dtype("<u8") if is_nothing else _NUMBERS.get(class_) or _DATETIMES.get(class_)
    if dtype is None:
        message = f"an array of MATLAB's class {class_}, which djq has no type for"
        raise ValueError(message)
    return np.frombuffer(cursor.take(n_items * dtype.itemsize), dtype)


def _read_complex(cursor: Cursor, class_: int, shape: Shape) -> NDArray[Any]:
    if class_ not in _NUMBERS:
        message = f"an array of complex numbers of MATLAB's class {class_}"
        raise ValueError(message)
    real = _read_flat(cursor, class_, shape)
    flat = np.empty(real.shape, "<c8" if class_ == _SINGLE else "<c16")
    flat.real = real
    flat.imag = _read_flat(cursor, class_, shape)
    return flat


def _read_chars(cursor: Cursor, shape: Shape) -> NDArray[Any]:
    """Read UTF-16; a row of it is one text, as MATLAB means it and DataJoint returns it."""
    raw = cursor.take(2 * math.prod(shape))
    if len(shape) == 2 and shape[0] == 1:  # noqa: PLR2004 - rows and columns
        return np.array([str(raw, "utf-16-le", "surrogatepass")])
    units = np.frombuffer(raw, "<u2").astype("<u4")
    return _in_c_order(units.view("<U1"), shape)


def _read_cell(cursor: Cursor) -> NDArray[Any]:
    shape = _read_shape(cursor)
    return _objects(cursor.read_items(math.prod(shape)), shape)


def _read_names(cursor: Cursor) -> list[str]:
    cursor.pay(_FIELDS_VALUES)
    (n_names,) = _N_FIELDS.unpack(cursor.take(_N_FIELDS.size))
    return [cursor.read_name() for _ in range(n_names)]


def _read_struct(cursor: Cursor) -> Value:
    """Read MATLAB's array of structs: element by element, field by field."""
    shape = _read_shape(cursor)
    names = _read_names(cursor)
    items = cursor.read_items(math.prod(shape) * len(names))
    columns = [_objects(items[i :: len(names)], shape) for i in range(len(names))]
    return objects.join_fields(names, columns, shape, is_record=True)


def _read_records(cursor: Cursor) -> Value:
    """Read NumPy's structured array: field by field, each an array by itself."""
    names = _read_names(cursor)
    columns = [cursor.read() for _ in names]
    if not all(isinstance(column, (np.ndarray, np.generic)) for column in columns):
        message = "a field of a structured array is no array"
        raise ValueError(message)
    # A field whose elements are arrays has the shape of those after that of the whole.
    shape = min((column.shape for column in columns), key=len, default=())
    columns = [np.asanyarray(column) for column in columns]
    return objects.join_fields(names, columns, shape, is_record=True)


def _refuse_sparse(_: Cursor) -> NoReturn:
    message = (
        "this blob holds a sparse MATLAB matrix, which djq cannot read: "
        "store it as a full one in MATLAB, full(x), or its indices and values"
    )
    raise CodecError(message)


def _objects(items: Sequence[Value], shape: Shape) -> NDArray[Any]:
    return _in_c_order(np.fromiter(items, object, len(items)), shape)


def _in_c_order(flat: NDArray[Any], shape: Shape) -> NDArray[Any]:
    """Return an array of its own memory."""
    return flat.reshape(shape, order="F").copy(order="C")


READERS: Final[Mapping[int, Callable[[Cursor], Any]]] = {
    ord("A"): _read_array,
    ord("C"): _read_cell,
    ord("S"): _read_struct,
    ord("F"): _read_records,
    ord("P"): _refuse_sparse,
}
