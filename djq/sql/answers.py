"""Rows of an answer, as bytes of the server's text protocol.

The format is that of MySQL and MariaDB, a packet per row behind a header of four bytes:
https://dev.mysql.com/doc/dev/mysql-server/latest/page_protocol_com_query_response_text_resultset.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

#: Length of a packet that goes on in the next one.
CONTINUED = 0xFFFFFF
#: First bytes of packets that are no rows: the end, an error.
END, ERROR = 0xFE, 0xFF
#: The end's packet is shorter than this; a longer one is a row whose first value is huge.
END_LENGTH = 9
#: Bytes of a packet's header: three of its length, one of its number.
_HEADER = 4
#: The end is five bytes long, and the last packet.
_LAST = _HEADER + 5
_LAST_LENGTH = b"\x05\x00\x00"
#: An answer of rows begins with a packet of one byte, how many columns there are.
_FIRST = _HEADER + 1
_FIRST_LENGTH = b"\x01\x00\x00"
#: First bytes of a value: null, or how many bytes hold its length.
_NULL = 0xFB
#: First byte of a packet that says that a statement without rows is done.
_DONE = 0x00
#: It has seven bytes and more where its numbers are small.
_DONE_LENGTH = _HEADER + 7
#: A flag of the server's status: another answer follows.
_MORE = 0x08
_LENGTHS = {0xFC: 2, 0xFD: 3, 0xFE: 8}

#: The values of one attribute, None for null.
RawColumn = list[bytes | None]


class Answer(NamedTuple):
    """An answer that has come whole, cut into its parts."""

    #: The packets that describe its columns.
    described: bytes
    columns: list[RawColumn]
    #: The last packet, without its header.
    end: bytes
    n_bytes: int
    n_packets: int


class Done(NamedTuple):
    """What the server says of a statement without rows; as PyMySQL names it."""

    affected_rows: int
    insert_id: int
    server_status: int
    warning_count: int
    n_bytes: int


def cut_done(data: bytes, sequence: int) -> Done | None:
    """Read that a statement is done, in a packet with the number `sequence`.

    None: it has not come whole, has large numbers, or is something else.
    """
    if len(data) < _DONE_LENGTH or data[3] != sequence or data[_HEADER] != _DONE:
        return None
    n_bytes = _HEADER + (data[0] | data[1] << 8 | data[2] << 16)
    affected, inserted, status = data[5], data[6], data[7] | data[8] << 8
    if affected >= _NULL or inserted >= _NULL or status & _MORE or len(data) != n_bytes:
        return None
    return Done(affected, inserted, status, data[9] | data[10] << 8, n_bytes)


def cut_answer(data: bytes, sequence: int) -> Answer | None:
    """Cut an answer whose first packet has the number `sequence`.

    None: more of it is to come, or it is something else than rows.
    """
    if len(data) < _FIRST + _LAST or data[:_HEADER] != _FIRST_LENGTH + bytes([sequence]):
        return None
    if data[-_LAST:-6] != _LAST_LENGTH or data[-5] != END or not 0 < data[_HEADER] < _NULL:
        return None
    try:
        return _cut_answer(data, sequence, data[_HEADER])
    except IndexError:  # some packet is longer than what has come
        return None


def _cut_answer(data: bytes, sequence: int, n_columns: int) -> Answer | None:
    at, end = _FIRST, len(data) - _LAST
    for _ in range(n_columns + 1):
        at += _HEADER + (data[at] | data[at + 1] << 8 | data[at + 2] << 16)
    described = data[_FIRST:at]
    columns: list[RawColumn] = [[] for _ in range(n_columns)]
    appends = [column.append for column in columns]
    while at < end:
        length = data[at] | data[at + 1] << 8 | data[at + 2] << 16
        at += _HEADER
        if data[at] == ERROR or (data[at] == END and length < END_LENGTH):
            return None
        cut_row(data, at, appends)
        at += length
    n_before = n_columns + 2 + len(columns[0])
    last = (sequence + n_before) & 0xFF
    if at != end or data[end + _HEADER - 1] != last:
        return None
    return Answer(described, columns, data[end + _HEADER :], len(data), n_before + 1)


def cut_row(data: bytes, start: int, appends: Sequence[Callable[[bytes | None], None]]) -> None:
    """Append the values of one row, which begins at `start`, to its columns."""
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
