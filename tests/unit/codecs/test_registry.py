from __future__ import annotations

import pytest

from djq.codecs import registry
from djq.errors import CodecError


def test_a_codec_is_found_by_its_name():
    codec = registry.get("blob")
    assert codec.name == "blob"
    assert codec.decode(codec.encode({"a": 1})) == {"a": 1}


def test_an_unknown_codec_is_refused_with_the_nearest_name():
    with pytest.raises(CodecError, match=r"unknown codec <blub>\. Did you mean <blob>\?"):
        registry.get("blub")
    with pytest.raises(CodecError, match=r"Known codecs: .*<blob>"):
        registry.get("xyz")
