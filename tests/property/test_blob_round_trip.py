from __future__ import annotations

import contextlib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from djq.codecs.blob import decode, encode
from djq.errors import CodecError
from tests.support.blob_values import same, values
from tests.support.examples import examples
from tests.support.hostile import messagepack_blob


@given(values)
@settings(max_examples=examples(1000))
def test_every_value_comes_back_as_it_was(value: object):
    blob = encode(value)
    assert same(decode(blob), value)


@given(values)
@settings(max_examples=examples(300))
def test_what_came_back_encodes_to_the_same_bytes(value: object):
    blob = encode(value)
    assert encode(decode(blob)) == blob


@given(st.binary(max_size=400))
@settings(max_examples=examples(500))
def test_arbitrary_bytes_are_refused(data: bytes):
    with pytest.raises(CodecError):
        decode(data)


@given(st.sampled_from([b"mYm\0", b"dj0\0", b"mYm\0A", b"dj0\0\2"]), st.binary(max_size=200))
@settings(max_examples=examples(500))
def test_arbitrary_bytes_in_datajoints_name_are_read_or_refused(magic: bytes, data: bytes):
    with contextlib.suppress(CodecError):
        decode(magic + data)


@given(values, st.data())
@settings(max_examples=examples(500))
def test_a_damaged_blob_is_refused(value: object, data: st.DataObject):
    blob = bytearray(encode(value))
    position = data.draw(st.integers(0, len(blob) - 1))
    damage = data.draw(st.integers(1, 255))
    blob[position] ^= damage
    with pytest.raises(CodecError):
        decode(blob)


@given(values, st.data())
@settings(max_examples=examples(300))
def test_a_blob_that_is_cut_off_or_goes_on_is_refused(value: object, data: st.DataObject):
    blob = encode(value)
    stop = data.draw(st.integers(0, len(blob) - 1))
    with pytest.raises(CodecError):
        decode(blob[:stop])
    with pytest.raises(CodecError):
        decode(blob + blob[:1])


@given(st.binary(min_size=1, max_size=200))
@settings(max_examples=examples(1000))
def test_arbitrary_messagepack_with_valid_checksums_is_read_or_refused(payload: bytes):
    # given: what a hostile writer can make, which knows the checksums
    blob = messagepack_blob(payload)
    # when
    started = time.perf_counter()
    with contextlib.suppress(CodecError):
        decode(blob)
    # then
    assert time.perf_counter() - started < 5
