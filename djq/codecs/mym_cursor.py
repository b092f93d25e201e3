"""A place in a blob of DataJoint's or mYm's, from which its values are read one by one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from djq.codecs.messagepack import Value

#: DataJoint's own writer and reader end at 190, where Python's stack does.
MAX_NESTING: Final = 200
#: Of a field; MATLAB's are not longer than 63 [bytes].
MAX_NAME_BYTES: Final = 1024
_SIZE_BYTES: Final = 8


class Cursor:
    """Bytes that are read from the beginning to the end.

    Parameters
    ----------
    data
        One value; values begin with a byte that tells their kind.
    readers
        That byte → what reads the rest of such a value.
    n_values
        How many values there may be, those inside of others included.
    """

    def __init__(
        self, data: memoryview, readers: Mapping[int, Callable[[Cursor], Any]], n_values: int
    ) -> None:
        self._data = data
        self._readers = readers
        self._n_values = n_values
        self._nesting = 0
        self._start = 0
        self._stop = len(data)

    def take(self, n_bytes: int) -> memoryview:
        """Return the next bytes; ValueError if there are fewer."""
        start, n_left = self._start, self._stop - self._start
        if n_bytes > n_left:
            message = f"{n_bytes} bytes are claimed where {n_left} are left"
            raise ValueError(message)
        self._start += n_bytes
        return self._data[start : self._start]

    def read_size(self) -> int:
        """Return a size or count."""
        return int.from_bytes(self.take(_SIZE_BYTES), "little")

    def read_name(self) -> str:
        """Return a text that ends with a zero."""
        rest = bytes(self._data[self._start : min(self._stop, self._start + MAX_NAME_BYTES)])
        name = str(self.take(rest.index(0)), "utf-8")
        self.take(1)
        return name

    def read_whole(self) -> Value:
        """Return the one value that the bytes hold; ValueError if they go on after it."""
        value = self.read()
        self._check_end()
        return value

    def read_items(self, n_items: int) -> list[Value]:
        """Return values that each begin with their size.

        Raises
        ------
        ValueError
            There are fewer, or one is larger or smaller than its size.
        """
        # Each needs its size and a kind: no memory for what is not there.
        if n_items * (_SIZE_BYTES + 1) > self._stop - self._start:
            message = f"{n_items} values are claimed in {self._stop - self._start} bytes"
            raise ValueError(message)
        items: list[Value] = []
        stop = self._stop
        for _ in range(n_items):
            size = self.read_size()
            if size > stop - self._start:
                message = f"a value claims {size} bytes where {stop - self._start} are left"
                raise ValueError(message)
            self._stop = self._start + size
            items.append(self.read())
            self._check_end()
            self._stop = stop
        return items

    def read(self) -> Value:
        """Return the next value; ValueError if it is unknown, one too many or too deep."""
        self.pay(1)
        if self._nesting >= MAX_NESTING:
            message = f"it is nested deeper than {MAX_NESTING} levels"
            raise ValueError(message)
        kind = self.take(1)
        reader = self._readers.get(kind[0])
        if reader is None:
            message = f"unknown kind of value {bytes(kind)!r}"
            raise ValueError(message)
        self._nesting += 1
        value = reader(self)
        self._nesting -= 1
        return value

    def pay(self, n_values: int) -> None:
        """Count what takes as much time as so many values; ValueError if those are too many."""
        self._n_values -= n_values
        if self._n_values < 0:
            message = "it has more values than its size allows"
            raise ValueError(message)

    def _check_end(self) -> None:
        if self._start != self._stop:
            message = f"{self._stop - self._start} bytes after the end of a value"
            raise ValueError(message)
