"""Words for somebody who wrote a name that there is not."""

from __future__ import annotations

from djq.hints import did_you_mean, suggest


def test_the_nearest_name_is_asked_for():
    assert did_you_mean("wieght", ("height", "weight")) == 'Did you mean "weight"? '
    assert did_you_mean("blub", ("blob",), shown="<{}>") == "Did you mean <blob>? "


def test_nothing_is_asked_where_no_name_is_near():
    assert did_you_mean("wieght", ("age",)) == ""


def test_all_names_are_listed_behind_it():
    assert suggest("wieght", ["weight", "age"]) == 'Did you mean "weight"? Known: weight, age'
    assert suggest("wieght", iter(())) == "Known: none"
