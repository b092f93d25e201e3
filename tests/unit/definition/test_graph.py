"""Tables as a graph."""

from __future__ import annotations

import pytest

from djq.definition.graph import ancestors, components, levels, reached, reverse
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


def test_turning_all_arrows_round_leads_from_parents_to_children():
    assert reverse(PARENTS) == {
        "d": [],
        "c": ["d"],
        "b": ["d"],
        "a": ["c", "b"],
        "elsewhere": ["a"],
    }


@pytest.mark.parametrize(
    ("steps", "found"), [(0, "d"), (1, "bcd"), (2, "abcd"), (9, [*"abcd", "elsewhere"])]
)
def test_so_many_arrows_lead_so_far(steps, found):
    assert reached(["d"], PARENTS, steps) == set(found)


def test_what_no_arrow_connects_is_apart_and_large_parts_come_first():
    assert components("zabcx", [("a", "b"), ("c", "b")]) == [["a", "b", "c"], ["z"], ["x"]]
