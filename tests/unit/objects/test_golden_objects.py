"""Objects and rows of lazy arrays that were written once stay readable."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import numpy as np
import pytest

from djq.codecs.codec import Context
from djq.codecs.registry import get
from djq.storage.content import ContentStore
from tests.support.memory_store import MemoryStore

#: What rows held, and the objects that they refer to; add new ones, change none.
GOLDEN = json.loads(Path(__file__).with_name("golden.json").read_text())
ARRAYS = {
    "steps": (np.indices((700, 500)).sum(0) // 50).astype("<i2"),
    "big-endian": np.linspace(0, 1, 300, dtype=">f8").reshape(3, 100),
    "times": np.array(["2020-01-01", "NaT"], "M8[ns]"),
    "empty": np.zeros((3, 0), "c8"),
}


@pytest.mark.parametrize("case", GOLDEN)
def test_arrays_of_older_versions_stay_readable(case: str):
    # given
    codec, name = case.split(" ", 1)
    golden, array, store = GOLDEN[case], ARRAYS[name], MemoryStore()
    store.put(golden["row"]["path"], base64.b64decode(golden["object"]))
    context = Context(store_name="raw", open_store=lambda name: ContentStore(name, store))
    # when
    found = get(codec).decode(golden["row"], context=context)
    # then
    assert (found.shape, found.dtype) == (array.shape, array.dtype)
    assert np.array_equal(found[1:2], array[1:2], equal_nan=array.dtype.kind == "M")
    loaded = found.load()
    assert loaded.dtype == array.dtype
    assert loaded.tobytes() == array.tobytes()
