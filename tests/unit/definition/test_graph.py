"""Tables as a graph."""

from __future__ import annotations

import pytest

from djq.definition.graph import ancestors, levels
from djq.errors import DefinitionError

PARENTS = {"d": ["b", "c"], "c": ["a"], "b": ["a"], "a": ["elsewhere"]}


def test_each_level_comes_after_all_that_it_depends_on():
    assert levels(PARENTS) == [["a"], ["c", "b"], ["d"]]


def test_a_table_may_refer_to_itself():
    assert levels({"a": ["a"]}) == [["a"]]


def test_a_circle_is_refused_and_named():
    with pytest.raises(DefinitionError, match=r"circle: .* → "):
        levels({"a": ["b"], "b": ["a"]})


def test_ancestors_are_all_that_a_table_depends_on():
    assert ancestors("d", PARENTS) == {"a", "b", "c", "elsewhere"}
