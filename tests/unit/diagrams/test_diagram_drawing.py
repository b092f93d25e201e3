"""Boxes and arrows as Mermaid, Graphviz and SVG."""

from __future__ import annotations

import re
from xml.etree import ElementTree as ET

import pytest

from djq.diagrams.drawing import Arrow, Box, Drawing, Kind, Strength, dot, mermaid
from djq.diagrams.svg import svg

NASTY = 'a <b> & "c"\n\\N {x} ]]> #35; \x00\x1b ü 鼠 -->'

PIPELINE = Drawing(
    (
        Box("Subject", "Subject", Kind.MANUAL, "lab", "an animal", is_dimension=True),
        Box("Method", "Method", Kind.LOOKUP, "lab"),
        Box("Scan", "Scan", Kind.IMPORTED, "imaging"),
        Box("Masks", "Masks", Kind.COMPUTED, "imaging"),
        Box("Masks.Mask", "Masks.Mask", Kind.PART, "imaging"),
        Box("ephys", "ephys (3 tables)", Kind.SCHEMA, "ephys"),
    ),
    (
        Arrow("Subject", "Scan", Strength.MANY),
        Arrow("Scan", "Masks", Strength.ONE),
        Arrow("Method", "Masks", Strength.SECONDARY, is_nullable=True),
        Arrow("Masks", "Masks.Mask", Strength.MANY, renamed=(("mine", "theirs"),)),
        Arrow("Subject", "ephys", Strength.MANY),
    ),
)


def elements(text, tag):
    return list(ET.fromstring(text).iter(f"{{http://www.w3.org/2000/svg}}{tag}"))


def test_mermaid_groups_by_schema_and_tells_the_references_apart():
    assert mermaid(PIPELINE).splitlines()[7:] == [
        '    subgraph s0["lab"]',
        '        t0["<u>Subject</u>"]:::manual',
        '        t1["Method"]:::lookup',
        "    end",
        '    subgraph s1["imaging"]',
        '        t2(["Scan"]):::imported',
        '        t3(["Masks"]):::computed',
        '        t4["Masks.Mask"]:::part',
        "    end",
        '    t5[["ephys #40;3 tables#41;"]]:::schema',
        "    t0 --> t2",
        "    t2 ==> t3",
        "    t1 -.-> t3",
        '    t3 -->|"mine=theirs"| t4',
        "    t0 --> t5",
    ]


def test_graphviz_text_has_shapes_styles_and_clusters():
    text = dot(PIPELINE)

    assert '"Scan" [label="Scan", shape="ellipse"' in text
    assert '"Scan" -> "Masks" [style="solid", penwidth="2.5"' in text
    assert '"Method" -> "Masks" [style="dashed", penwidth="1"' in text
    assert 'label="mine=theirs"' in text
    assert 'label="imaging"; color' in text
    assert text.count("{") == text.count("}")


def test_svg_shows_each_tier_in_its_shape_and_colour():
    text = svg(PIPELINE)

    shapes = {
        group.get("data-table"): (group.get("class"), group[-2].tag.rpartition("}")[2])
        for group in elements(text, "g")
        if group.get("data-table")
    }
    assert shapes == {
        "Subject": ("djq-manual", "rect"),
        "Method": ("djq-lookup", "rect"),
        "Scan": ("djq-imported", "ellipse"),
        "Masks": ("djq-computed", "ellipse"),
        "Masks.Mask": ("djq-part", "rect"),
        "ephys": ("djq-schema", "rect"),
    }


def test_svg_tells_the_references_apart():
    classes = [path.get("class") for path in elements(svg(PIPELINE), "path")]

    assert classes == [
        "djq-line",
        "djq-line djq-thick",
        "djq-line djq-dashed djq-nullable",
        "djq-line",
        "djq-line",
    ]
    assert len(elements(svg(PIPELINE), "circle")) == 1


def test_svg_says_in_tooltips_what_a_reference_is():
    titles = [t.text for t in elements(svg(PIPELINE), "title")]

    assert "an animal" in titles
    assert "Masks → Method: secondary, nullable" in titles
    assert "Masks.Mask → Masks: one to many\nmine=theirs" in titles


def test_svg_has_colours_for_dark_pages_and_refers_to_nothing_outside():
    text = svg(PIPELINE)

    assert "prefers-color-scheme:dark" in text
    assert set(re.findall(r"https?://[^\"]+", text)) == {"http://www.w3.org/2000/svg"}
    assert "<script" not in text


def test_from_left_to_right_is_wide_where_from_top_to_bottom_is_tall():
    def centres(direction):
        boxes = elements(svg(Drawing(PIPELINE.boxes, PIPELINE.arrows, direction)), "text")
        return {b.text: (float(b.get("x")), float(b.get("y"))) for b in boxes}

    down, right = centres("TB"), centres("LR")
    assert down["Subject"][1] < down["Scan"][1] < down["Masks"][1]
    assert right["Subject"][0] < right["Scan"][0] < right["Masks"][0]


@pytest.mark.parametrize("direction", ["TB", "LR"])
def test_any_characters_may_stand_in_names_and_comments(direction):
    nasty = Drawing(
        (Box(NASTY, NASTY, Kind.MANUAL, NASTY, NASTY), Box("b", NASTY, Kind.PART, "x", NASTY)),
        (Arrow(NASTY, "b", Strength.MANY, renamed=((NASTY, NASTY),)),),
        direction,
    )
    shown = NASTY.replace("\x00", "\ufffd").replace("\x1b", "\ufffd")

    image, flowchart, graph = svg(nasty), mermaid(nasty), dot(nasty)

    assert {t.text for t in elements(image, "text")} == {shown}
    assert "<b>" not in flowchart
    assert re.findall(r'"[^"]*"', flowchart)
    assert all(line.count('"') % 2 == 0 for line in flowchart.splitlines())
    assert all(line.replace('\\"', "").count('"') % 2 == 0 for line in graph.splitlines())


def test_two_references_between_the_same_tables_are_two_lines():
    both = Drawing(
        (Box("a", "a", Kind.MANUAL, "s"), Box("b", "b", Kind.MANUAL, "s")),
        (
            Arrow("a", "b", Strength.MANY, renamed=(("x", "a"),)),
            Arrow("a", "b", Strength.MANY, renamed=(("y", "a"),)),
        ),
    )

    first, second = elements(svg(both), "path")

    assert first.get("d") != second.get("d")


def test_a_reference_to_the_same_table_is_a_loop():
    own = Drawing(
        (Box("a", "a", Kind.MANUAL, "s"),),
        (Arrow("a", "a", Strength.SECONDARY, is_nullable=True, renamed=(("parent", "a"),)),),
    )

    assert len(elements(svg(own), "path")) == 1
    assert "t0 -.->|" in mermaid(own)


def test_no_tables_are_an_empty_page():
    assert elements(svg(Drawing((), ())), "rect")
