"""Answers of the server's text protocol, cut where they lie."""

from __future__ import annotations

import pytest

from djq.sql.answers import cut_answer, cut_done

SEQUENCE = 1
ROWS = [(b"1", b"a"), (None, b"x" * 300), (b"", b"\x05\x00\x00\x07\xfe\x00\x00\x02\x00")]
END = b"\xfe\x00\x00\x02\x00"


def value(data):
    if data is None:
        return b"\xfb"
    size = bytes([len(data)]) if len(data) < 251 else b"\xfc" + len(data).to_bytes(2, "little")
    return size + data


def packets(*bodies, first=SEQUENCE):
    return b"".join(
        len(body).to_bytes(3, "little") + bytes([(first + i) % 256]) + body
        for i, body in enumerate(bodies)
    )


def answer(rows, *, first=SEQUENCE, end=END):
    described = [b"column a", b"column b", b"\xfe\x00\x00\x02\x00"]
    return packets(b"\x02", *described, *(b"".join(map(value, r)) for r in rows), end, first=first)


@pytest.mark.parametrize("n", [0, 1, 3])
def test_a_whole_answer_is_cut_into_columns(n):
    rows = ROWS[:n]

    found = cut_answer(answer(rows), SEQUENCE)

    assert list(zip(*found.columns, strict=True)) == rows
    assert found.end == END
    assert found.n_bytes == len(answer(rows))


def test_numbers_of_packets_begin_again_behind_255():
    found = cut_answer(answer(ROWS * 100), SEQUENCE)

    assert len(found.columns[0]) == 300
    assert found.n_packets == 4 + 300 + 1


def test_the_same_columns_are_described_by_the_same_bytes():
    one, other = (cut_answer(answer(rows), SEQUENCE) for rows in (ROWS, []))

    assert one.described == other.described


def test_an_answer_of_which_something_is_to_come_is_left():
    whole = answer(ROWS)

    assert [cut_answer(whole[:n], SEQUENCE) for n in range(len(whole))] == [None] * len(whole)


@pytest.mark.parametrize(
    "data",
    [
        packets(b"\x00\x01\x00\x02\x00\x00\x00"),
        packets(b"\xff\x15\x04#28000no"),
        packets(b"\xfbfile.csv"),
        answer(ROWS) + packets(b"\x01", first=9),
        answer(ROWS, first=2),
        packets(b"\x02", b"a", b"b", END, b"\xff\x15\x04#28000no", END),
        packets(b"\x02", b"a", b"b", END, END, END),
    ],
    ids=["done", "error", "file", "more", "number", "error in rows", "two results"],
)
def test_what_is_no_whole_answer_of_rows_is_left(data):
    assert cut_answer(data, SEQUENCE) is None


DONE = b"\x00\x01\x07\x02\x40\x03\x01"


@pytest.mark.parametrize("words", [b"", b"Rows matched: 1"])
def test_what_is_done_says_how_many_rows_it_changed(words):
    data = packets(DONE + words)

    found = cut_done(data, SEQUENCE)

    assert found == (1, 7, 0x4002, 0x0103, len(data))


@pytest.mark.parametrize(
    "data",
    [
        packets(DONE)[:-1],
        packets(DONE, first=2),
        packets(DONE) + packets(DONE, first=2),
        packets(b"\x00\xfc\x00\x01\x07\x02\x00\x00\x00"),
        packets(b"\x00\x01\xfd\x00\x00\x01\x02\x00\x00\x00"),
        packets(b"\x00\x01\x07\x0a\x00\x00\x00"),
        packets(b"\xff\x15\x04#28000no such table"),
        answer(ROWS),
        b"",
    ],
    ids=["cut", "number", "two", "rows", "id", "more to come", "error", "rows", "nothing"],
)
def test_what_is_no_whole_end_of_a_statement_is_left(data):
    assert cut_done(data, SEQUENCE) is None
