from __future__ import annotations

import contextlib

import numpy as np
import pytest

from djq.errors import CodecError
from djq.objects.npyformat import read_head, write_head

BYTES = b"\0\n #'\"([{\\,:LO-09\x7f\x80\xff"


# Of headers that Python 2 may have written, and of dtypes of other versions.
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "array",
    [np.zeros((3, 4)), np.zeros(2, [("a", "i4"), ("b", "S3", (2,))]), np.zeros(2, "M8[ns]")],
    ids=lambda array: str(array.dtype),
)
def test_a_header_with_any_byte_changed_is_read_or_refused(array):
    whole, _ = write_head(array)
    for place in range(len(whole)):
        for byte in BYTES:
            changed = bytearray(whole)
            changed[place] = byte
            with contextlib.suppress(CodecError):
                read_head(memoryview(changed))


def test_a_header_that_is_no_python_is_refused():
    whole, _ = write_head(np.zeros(3))
    with pytest.raises(CodecError, match=r"it is no \.npy file"):
        read_head(memoryview(whole.replace(b"(3,)", b"((3,")))


def test_a_version_that_is_not_known_is_refused_by_its_number():
    whole, _ = write_head(np.zeros(3))
    with pytest.raises(CodecError, match=r"version \(4, 0\) .* not read here; update djq"):
        read_head(memoryview(whole[:6] + b"\4\0" + whole[8:]))
