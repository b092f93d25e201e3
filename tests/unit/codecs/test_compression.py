from __future__ import annotations

import blosc2
import numpy as np
import pytest

from djq.codecs.blob import decode, encode
from djq.codecs.chunks import ChunkIndex, ChunkReader
from djq.codecs.compression import CHUNK_BYTES, SAMPLE_BYTES, compress, numbers, shuffled
from djq.codecs.grids import slab_shape
from djq.errors import CodecError


def some(n_bytes: int) -> np.ndarray:
    return np.arange(n_bytes // 8).view(np.uint8)


def test_smooth_values_shrink_and_noise_does_not_grow():
    noise = np.random.default_rng(1).integers(0, 256, 1 << 20, dtype=np.uint8)
    assert len(encode(np.arange(1 << 17))) < (1 << 20) / 20
    assert len(encode(np.zeros((1000, 1000), np.uint8))) < 1000
    assert len(encode(noise)) < noise.nbytes + 150


def test_one_byte_types_are_not_shuffled_and_others_are():
    for dtype, filter_code in (("u1", 0), ("?", 0), ("S7", 0), ("i2", 1), ("c16", 1), ("U3", 1)):
        blob = encode(np.zeros(1 << 16, dtype))
        # The 16 bytes that every Blosc2 chunk of zeros ends with: filters, codec, flags.
        assert blob[-16] == filter_code, dtype


def test_numbers_are_compressed_as_a_sample_of_them_tells():
    rng = np.random.default_rng(2)
    noisy = rng.normal(0, 100, 1 << 18).astype("i2")
    sparse = (rng.random(1 << 18) * (rng.random(1 << 18) < 0.02)).astype("f4")
    times = np.cumsum(rng.integers(33_280, 33_390, 1 << 18))
    for array, codec, shuffle in (
        (noisy, "LZ4", "BITSHUFFLE"),
        (times, "LZ4", "SHUFFLE"),
        (rng.random(1 << 18), "LZ4", "SHUFFLE"),
        (sparse, "ZSTD", "SHUFFLE"),
        (noisy[:1000], "ZSTD", "SHUFFLE"),
    ):
        method = numbers(array.itemsize, array.view(np.uint8))
        assert (method.codec, method.filter) == (codec, shuffle)


def test_the_sample_lies_in_the_middle():
    rng = np.random.default_rng(3)
    ends = np.zeros(1 << 18, "i2")
    ends[1 << 16 : -(1 << 16)] = rng.normal(0, 100, 1 << 17)
    assert numbers(2, ends.view(np.uint8)).codec == "LZ4"
    assert ends.nbytes > 3 * SAMPLE_BYTES


def test_chunks_are_slabs_of_four_megabytes():
    assert slab_shape((), 8) == ()
    assert slab_shape((0, 5), 8) == (1, 5)
    assert slab_shape((10, 10), 8) == (10, 10)
    assert slab_shape((100, 1024, 1024), 8) == (1, 512, 1024)
    assert slab_shape((3,), 10 * CHUNK_BYTES) == (1,)


def test_a_chunk_that_shrank_too_much_is_padded():
    raw = np.zeros(1 << 20, np.uint8)
    chunks = compress([raw], max_ratio=64)
    assert len(chunks.parts[0]) == raw.size / 64
    back = np.ones_like(raw)
    ChunkReader(ChunkIndex(chunks.index), memoryview(chunks.parts[0])).read(0, back)
    assert not back.any()


def test_every_kind_of_chunk_header_that_djq_does_not_write_is_refused():
    chunk = compress([some(1 << 16)], shuffled(8)).parts[0]
    out = np.empty(1 << 16, np.uint8)
    for position in range(32):
        damaged = bytearray(chunk)
        damaged[position] ^= 0xFF
        forged = compress([np.frombuffer(bytes(damaged), np.uint8)], least=1 << 30)
        reader = ChunkReader(ChunkIndex(forged.index), memoryview(bytes(damaged)))
        try:
            reader.read(0, out)
        except CodecError:
            continue
        # Only what says how the bytes inside are packed, and a smaller size of the chunk (padding
        # may follow it), may change without a sign; the checksum is what guards them.
        assert position in {1, 2, 3, *range(8, 16)}


def test_memory_that_was_never_written_cannot_be_asked_for():
    # given: Blosc2 has a kind of chunk that leaves the target as it is
    chunk = bytearray(compress([np.zeros(1 << 16, np.uint8)]).parts[0])
    assert chunk[31] == 0x10
    chunk[31] = 0x40
    # when, then
    forged = compress([np.frombuffer(bytes(chunk), np.uint8)], least=1 << 30)
    reader = ChunkReader(ChunkIndex(forged.index), memoryview(bytes(chunk)))
    with pytest.raises(CodecError, match="not one that djq writes"):
        reader.read(0, np.empty(1 << 16, np.uint8))


def test_a_chunk_by_another_writer_of_the_format_is_read():
    array = np.arange(1 << 14)
    stored = blosc2.compress2(
        array, codec=blosc2.Codec.LZ4, typesize=8, filters=[blosc2.Filter.BITSHUFFLE], nthreads=1
    )
    index = compress([np.frombuffer(stored, np.uint8)], least=1 << 30).index
    back = np.empty(array.nbytes, np.uint8)
    ChunkReader(ChunkIndex(index), memoryview(stored)).read(0, back)
    assert np.array_equal(back.view(array.dtype), array)


def test_a_blob_may_be_decoded_from_any_buffer():
    blob = encode(np.arange(1000))
    for data in (blob, bytearray(blob), memoryview(blob), memoryview(np.frombuffer(blob, "u1"))):
        assert np.array_equal(decode(data), np.arange(1000))
