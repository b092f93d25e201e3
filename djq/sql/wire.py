"""PyMySQL's connection with a quicker loop over the rows of an answer.

PyMySQL makes several objects and calls per row and per value. Here a row is cut in one loop, its
values go to their columns, and these are converted by loops that run in C. What is rare is left to
PyMySQL: streams, errors, the conversion of rarer types.
"""

from __future__ import annotations

import datetime as dt
from functools import lru_cache
from operator import methodcaller
from typing import TYPE_CHECKING, Any

import pymysql
from pymysql import converters
from pymysql.connections import Connection, MySQLResult
from pymysql.constants import CR
from pymysql.err import InternalError, OperationalError
from pymysql.protocol import MysqlPacket

from djq.sql.addresses import PYMYSQL

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import sqlalchemy as sa

    _Driver = Connection[Any]
else:
    _Driver = Connection

#: The version of PyMySQL whose inner methods this module overrides
#: (docs/decisions/0011-reading-rows.md).
KNOWN_VERSION = (1, 2)
#: Length of a packet that goes on in the next one.
_CONTINUED = 0xFFFFFF
#: First bytes of packets that are no rows: the end, an error.
_END, _ERROR = 0xFE, 0xFF
#: The end's packet is shorter than this; a longer one is a row whose first value is huge.
_END_LENGTH = 9
#: First bytes of a value: null, or how many bytes hold its length.
_NULL = 0xFB
_LENGTHS = {0xFC: 2, 0xFD: 3, 0xFE: 8}


def _date(text: str) -> dt.date | str | None:
    try:
        return dt.date.fromisoformat(text)
    except ValueError:  # such as 0000-00-00
        return converters.convert_date(text)


def _datetime(text: str) -> dt.datetime | str | None:
    try:
        return dt.datetime.fromisoformat(text)
    except ValueError:
        return converters.convert_datetime(text)


#: PyMySQL's conversions of single values → the same, but faster.
_QUICKER: dict[Any, Callable[[str], Any]] = {
    converters.convert_date: _date,
    converters.convert_datetime: _datetime,
}
#: These read digits from bytes.
_FROM_BYTES = (int, float)
#: What a server's utf8mb4 and its plain numbers are to Python.
_UTF8 = frozenset({"utf8", "utf-8", "ascii"})


def quicken(engine: sa.Engine) -> None:
    """Let an engine of PyMySQL open such connections; a PyMySQL of another version reads itself."""
    dialect: Any = engine.dialect
    if dialect.driver == PYMYSQL and pymysql.VERSION[:2] == KNOWN_VERSION:
        dialect.connect = QuickConnection


class QuickConnection(_Driver):
    """A connection that reads whole answers in one loop."""

    # Of PyMySQL, whose types leave them out.
    encoding: str
    server_status: int
    _rfile: Any
    _result: Any
    _next_seq_id: int
    _force_close: Callable[[], None]

    def _read_query_result(self, unbuffered: bool = False) -> int:
        self._result = None
        result: Any = QuickResult(self)
        if unbuffered:
            result.init_unbuffered_query()
        else:
            result.read()
        self._result = result
        if result.server_status is not None:
            self.server_status = result.server_status
        found: int = result.affected_rows
        return found

    def columns(self, statement: str) -> list[Sequence[Any]]:
        """Send a statement with its values in it; return the rows of its answer as columns."""
        self.query(statement)  # pyright: ignore[reportUnknownMemberType] - PyMySQL leaves types out
        found: list[Sequence[Any]] = self._result.columns
        return found

    def read_columns(self, n_columns: int) -> tuple[list[Sequence[Any]], MysqlPacket]:
        """Return the columns of an answer as bytes, and the packet behind its rows."""
        columns: list[list[bytes | None]] = [[] for _ in range(n_columns)]
        try:
            last = self._read_until_end([column.append for column in columns])
        except (OSError, IndexError) as error:  # a header that was cut short has no such bytes
            self._force_close()
            message = f"Lost connection to MySQL server during query ({error})"
            raise OperationalError(CR.CR_SERVER_LOST, message) from error
        except BaseException:
            self._force_close()
            raise
        return [*columns], MysqlPacket(last, self.encoding)

    def _read_until_end(self, appends: list[Callable[[bytes | None], None]]) -> bytes:
        read, sequence = self._rfile.read, self._next_seq_id
        while True:
            data, length = b"", _CONTINUED
            while length == _CONTINUED:
                header = read(4)
                length = header[0] | header[1] << 8 | header[2] << 16
                if header[3] != sequence:
                    _refuse_sequence(header[3], sequence)
                sequence = (sequence + 1) & 0xFF
                data = data + read(length) if data else read(length)
            first = data[0]
            if first == _ERROR or (first == _END and len(data) < _END_LENGTH):
                self._next_seq_id = sequence
                return data
            _cut(data, appends)


class QuickResult(MySQLResult):
    """An answer whose rows are read in one loop."""

    # Of PyMySQL, whose types leave them out.
    converters: list[tuple[str | None, Any]]
    columns: list[Sequence[Any]] | None = None
    _rows: Any = None
    _check_packet_is_eof: Callable[[MysqlPacket], bool]

    @property
    def rows(self) -> Any:  # noqa: ANN401 - None, or tuples of values
        """The rows; made of the columns when somebody asks for them."""
        if self._rows is None and self.columns is not None:
            self._rows = tuple(zip(*self.columns, strict=True))
        return self._rows

    @rows.setter
    def rows(self, rows: Sequence[tuple[Any, ...]] | None) -> None:
        self._rows = rows

    def _read_rowdata_packet(self) -> None:
        connection: Any = self.connection
        columns, last = connection.read_columns(self.field_count)
        if last.is_error_packet():
            last.raise_for_error()
        self._check_packet_is_eof(last)
        self.connection = None
        self.affected_rows = len(columns[0])
        self.columns = _converted(columns, self.converters)


def _cut(data: bytes, appends: list[Callable[[bytes | None], None]]) -> None:
    """Append the values of one row to its columns, as bytes."""
    start = 0
    for append in appends:
        size = data[start]
        start += 1
        if size >= _NULL:
            if size == _NULL:
                append(None)
                continue
            width = _LENGTHS[size]
            size = int.from_bytes(data[start : start + width], "little")
            start += width
        end = start + size
        append(data[start:end])
        start = end


def _refuse_sequence(found: int, expected: int) -> None:
    if found == 0:  # MariaDB says so when it shuts down
        raise OperationalError(CR.CR_SERVER_LOST, "Lost connection to MySQL server during query")
    message = f"Packet sequence number wrong - got {found} expected {expected}"
    raise InternalError(message)


def _converted(
    columns: list[Sequence[Any]], wanted: Sequence[tuple[str | None, Any]]
) -> list[Sequence[Any]]:
    """Return columns of bytes as columns of Python's values."""
    for i, (encoding, convert) in enumerate(wanted):
        change = _change(encoding, convert)
        if change is None:
            continue
        column = columns[i]
        columns[i] = (
            [None if v is None else change(v) for v in column]
            if None in column
            else list(map(change, column))
        )
    return columns


@lru_cache(maxsize=256)
def _change(encoding: str | None, convert: Any) -> Callable[[bytes], Any] | None:  # noqa: ANN401
    """Return what turns a value's bytes into Python's value, None where it is the bytes."""
    if convert in _FROM_BYTES or (convert is not None and encoding is None):
        found: Callable[[bytes], Any] = convert
        return found
    if encoding is None:
        return None
    decode = bytes.decode if encoding in _UTF8 else methodcaller("decode", encoding)
    if convert is None:
        return decode
    quick: Any = _QUICKER.get(convert, convert)
    return lambda data: quick(decode(data))
