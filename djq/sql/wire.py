"""PyMySQL's connection with a quicker way through an answer.

PyMySQL makes several objects and calls per packet and per value. Here a row is cut in one loop, its
values go to their columns, and these are converted by loops that run in C. A small answer, which
comes at once, is cut where it lies, and what describes its columns is understood once per question.
What is rare is left to PyMySQL: streams, errors, the conversion of rarer types.
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
from djq.sql.answers import CONTINUED, END, END_LENGTH, ERROR, cut_answer, cut_done, cut_row

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import sqlalchemy as sa

    from djq.sql.answers import Answer, Done

    _Driver = Connection[Any]
else:
    _Driver = Connection

#: The version of PyMySQL whose inner methods this module overrides
#: (docs/decisions/0011-reading-rows.md).
KNOWN_VERSION = (1, 2)


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


def _datetime_literal(value: dt.datetime) -> str:
    return (
        f"'{value.isoformat(' ')}'" if value.tzinfo is None else converters.escape_datetime(value)
    )


#: PyMySQL's conversions of single values → the same, but faster.
_QUICKER: dict[Any, Callable[[str], Any]] = {
    converters.convert_date: _date,
    converters.convert_datetime: _datetime,
}
#: How values of these types are written into a statement; of others, PyMySQL finds out.
_LITERALS: dict[type, Callable[[Any], str]] = {
    int: str,
    float: converters.escape_float,
    type(None): converters.escape_None,
    dt.datetime: _datetime_literal,
}
#: These read digits from bytes.
_FROM_BYTES = (int, float)
#: What a server's utf8mb4 and its plain numbers are to Python.
_UTF8 = frozenset({"utf8", "utf-8", "ascii"})
#: Descriptions of answers that a connection keeps; a pipeline has some dozens.
_MAX_DESCRIPTIONS = 1_000


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
    _sock: Any
    _rfile: Any
    _current_timeout: float | None
    _read_timeout: float | None
    _result: Any
    _next_seq_id: int
    _force_close: Callable[[], None]

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 - PyMySQL's
        #: The packets that describe an answer's columns → what they say.
        self.descriptions: dict[bytes, tuple[Any, ...]] = {}
        super().__init__(*args, **kwargs)

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

    def ask(self, statement: str, parameters: Sequence[Any]) -> QuickResult:
        """Send a statement; return its answer."""
        find, escape = _LITERALS.get, self._literal
        text = statement % tuple([find(p.__class__, escape)(p) for p in parameters])
        self.query(text)  # pyright: ignore[reportUnknownMemberType] - PyMySQL leaves types out
        found: QuickResult = self._result
        return found

    def _literal(self, value: Any) -> str:  # noqa: ANN401 - what the driver accepts
        """Return a value as SQL; words, as names and hashes are, have nothing to escape."""
        if value.__class__ is str and value.isalnum():
            return f"'{value}'"
        return self.escape(value)

    def read_columns(self, n_columns: int) -> tuple[list[Sequence[Any]], MysqlPacket]:
        """Return the columns of an answer as bytes, and the packet behind its rows."""
        columns: list[list[bytes | None]] = [[] for _ in range(n_columns)]
        try:
            last = self._read_until_end([column.append for column in columns])
        except BaseException as error:
            raise self._broken(error) from error
        return [*columns], MysqlPacket(last, self.encoding)

    def _read_ok_packet(self) -> Any:  # noqa: ANN401 - PyMySQL's, or what has the same names
        done = cut_done(self.peek(), self._next_seq_id)
        if done is None:
            inherited: Any = super()
            return inherited._read_ok_packet()  # noqa: SLF001 - of its own class
        self.take(done.n_bytes)
        self.server_status = done.server_status
        return done

    def peek(self) -> bytes:
        """Return what has come of an answer, at least one byte; it stays to be read."""
        if self._current_timeout != self._read_timeout:
            self._sock.settimeout(self._read_timeout)
            self._current_timeout = self._read_timeout
        try:
            found: bytes = self._rfile.peek()
        except OSError as error:
            raise self._broken(error) from error
        return found

    def take(self, n_bytes: int, n_packets: int = 1) -> None:
        """Go on behind packets that `peek` returned whole."""
        self._rfile.read(n_bytes)
        self._next_seq_id = (self._next_seq_id + n_packets) & 0xFF

    def _broken(self, error: BaseException) -> BaseException:
        """Close the connection, whose next packet is not known; return what to raise."""
        self._force_close()
        if not isinstance(error, OSError | IndexError):
            return error
        # A header that was cut short has no such bytes.
        message = f"Lost connection to MySQL server during query ({error})"
        return OperationalError(CR.CR_SERVER_LOST, message)

    def _read_until_end(self, appends: list[Callable[[bytes | None], None]]) -> bytes:
        read, sequence = self._rfile.read, self._next_seq_id
        while True:
            data, length = b"", CONTINUED
            while length == CONTINUED:
                header = read(4)
                length = header[0] | header[1] << 8 | header[2] << 16
                if header[3] != sequence:
                    _refuse_sequence(header[3], sequence)
                sequence = (sequence + 1) & 0xFF
                data = data + read(length) if data else read(length)
            first = data[0]
            if first == ERROR or (first == END and len(data) < END_LENGTH):
                self._next_seq_id = sequence
                return data
            cut_row(data, 0, appends)


class QuickResult(MySQLResult):
    """An answer whose rows are read in one loop."""

    # Of PyMySQL, whose types leave them out.
    converters: list[tuple[str | None, Any]]
    #: None where the answer is none of rows.
    columns: list[Sequence[Any]] | None = None
    connection: Any
    field_count: int
    fields: list[Any]
    description: tuple[Any, ...]
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

    def read(self) -> None:
        """Read the answer."""
        connection = self.connection
        data = connection.peek()
        done = cut_done(data, connection._next_seq_id)  # noqa: SLF001 - its other half
        if done is not None:
            self._end(done)
            return
        answer = cut_answer(data, connection._next_seq_id)  # noqa: SLF001
        known = None if answer is None else connection.descriptions.get(answer.described)
        if answer is not None and known is not None:
            self._take(answer, known)
            return
        super().read()
        if answer is not None:
            if len(connection.descriptions) >= _MAX_DESCRIPTIONS:
                connection.descriptions.clear()
            known = self.fields, self.converters, self.description
            connection.descriptions[answer.described] = known

    def _end(self, done: Done) -> None:
        self.connection.take(done.n_bytes)
        self.connection = None
        self.affected_rows, self.insert_id = done.affected_rows, done.insert_id
        self.server_status, self.warning_count = done.server_status, done.warning_count
        self.has_next = False

    def _take(self, answer: Answer, known: tuple[Any, ...]) -> None:
        self.connection.take(answer.n_bytes, answer.n_packets)
        self.connection = None
        self._check_packet_is_eof(MysqlPacket(answer.end, "utf-8"))
        self.field_count = len(answer.columns)
        self.fields, self.converters, self.description = known
        self.affected_rows = len(answer.columns[0])
        self.columns = _converted([*answer.columns], self.converters)

    def _read_rowdata_packet(self) -> None:
        connection = self.connection
        columns, last = connection.read_columns(self.field_count)
        if last.is_error_packet():
            last.raise_for_error()
        self._check_packet_is_eof(last)
        self.connection = None
        self.affected_rows = len(columns[0])
        self.columns = _converted(columns, self.converters)


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
