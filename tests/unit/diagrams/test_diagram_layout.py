"""Where boxes and lines go."""

from __future__ import annotations

import random

import pytest

from djq.diagrams.layout import arrange

SIZE = (80.0, 26.0)


def placed(lines, **sizes):
    names = dict.fromkeys([*(n for line in lines for n in line), *sizes])
    return arrange({n: sizes.get(n, SIZE) for n in names}, lines)


def generated(n_boxes, seed):
    rng = random.Random(seed)
    sizes = {f"t{i}": (rng.uniform(30, 200), 26.0) for i in range(n_boxes)}
    lines = [
        (f"t{rng.randrange(max(0, i - 12), i)}", f"t{i}")
        for i in range(1, n_boxes)
        for _ in range(rng.choice([0, 1, 1, 2, 3]))
    ]
    return sizes, lines


def test_children_stand_below_all_of_their_parents():
    found = placed([("a", "b"), ("b", "c"), ("a", "c")])

    (_, a), (_, b), (_, c) = (found.centres[n] for n in "abc")
    assert a < b < c


def test_a_chain_is_straight():
    found = placed([("a", "b"), ("b", "c")], b=(300.0, 26.0))

    assert len({round(x) for x, _ in found.centres.values()}) == 1


def test_siblings_stand_side_by_side_around_their_parent():
    found = placed([("a", "b"), ("a", "c")])

    (a, _), (b, _), (c, _) = (found.centres[n] for n in "abc")
    assert b < a < c
    assert a == pytest.approx((b + c) / 2, abs=1)


def test_lines_do_not_cross_where_they_need_not():
    found = placed([("a", "d"), ("b", "c"), ("a", "e"), ("b", "f"), ("x", "a"), ("x", "b")])

    order = sorted("cdef", key=lambda n: found.centres[n][0])
    assert {"".join(sorted(order[:2])), "".join(sorted(order[2:]))} == {"de", "cf"}


def test_a_lookup_table_stands_just_above_the_tables_that_use_it():
    found = placed([("a", "b"), ("lookup", "c"), ("b", "c")])

    assert found.centres["lookup"][1] == found.centres["b"][1]


@pytest.mark.parametrize("seed", range(6))
def test_boxes_do_not_overlap_and_lie_within_the_drawing(seed):
    sizes, lines = generated(40, seed)

    found = arrange(sizes, lines)

    boxes = [(*found.centres[n], *sizes[n]) for n in sizes]
    for i, (x, y, w, h) in enumerate(boxes):
        assert x - w / 2 >= -0.1
        assert x + w / 2 <= found.width + 0.1
        assert y - h / 2 >= -0.1
        assert y + h / 2 <= found.height + 0.1
        for x2, y2, w2, h2 in boxes[:i]:
            assert abs(x - x2) >= (w + w2) / 2 - 0.1 or abs(y - y2) >= (h + h2) / 2 - 0.1


@pytest.mark.parametrize("seed", range(3))
def test_each_line_leads_from_its_first_box_to_its_second(seed):
    sizes, lines = generated(30, seed)

    found = arrange(sizes, lines)

    for (first, second), route in zip(lines, found.routes, strict=True):
        assert (route[0], route[-1]) == (found.centres[first], found.centres[second])


def test_a_line_passes_beside_the_boxes_between_its_ends():
    found = placed([("a", "b"), ("b", "c"), ("a", "c")])

    x, y, width = *found.centres["b"], SIZE[0]
    passing = [px for px, py in found.routes[2] if abs(py - y) <= SIZE[1] / 2]
    assert passing
    assert all(abs(px - x) > width / 2 for px in passing)


def test_a_line_against_the_order_of_the_boxes_leads_up():
    found = arrange({"a": SIZE, "b": SIZE}, [("b", "a"), ("a", "b")])

    assert found.routes[0] == found.routes[1][::-1]


def test_a_line_from_a_box_to_itself_has_no_route():
    assert placed([("a", "a")]).routes == [[]]


def test_nothing_takes_no_room():
    found = arrange({}, [])

    assert (found.width, found.height) == (0, 0)


def test_many_unconnected_boxes_fill_several_rows():
    found = arrange({f"t{i}": SIZE for i in range(40)}, [])

    assert found.width < 1200
    assert len({y for _, y in found.centres.values()}) > 1
