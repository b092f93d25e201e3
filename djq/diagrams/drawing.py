"""A diagram as boxes and arrows, and these as text for Mermaid and Graphviz."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class Kind(Enum):
    """What a box stands for; the value is its name in stylesheets."""

    MANUAL = "manual"
    LOOKUP = "lookup"
    IMPORTED = "imported"
    COMPUTED = "computed"
    PART = "part"
    #: All tables of a schema.
    SCHEMA = "schema"


class Strength(Enum):
    """How strongly a child depends on its parent; the value is said in tooltips."""

    #: The reference is the child's whole primary key, or unique.
    ONE = "one to one"
    #: The reference is in the child's primary key.
    MANY = "one to many"
    #: The reference is, or has, a secondary attribute.
    SECONDARY = "secondary"
    SECONDARY_ONE = "secondary, one to one"

    @property
    def is_dashed(self) -> bool:
        """Whether the line is dashed: the reference does not identify the child."""
        return self in {Strength.SECONDARY, Strength.SECONDARY_ONE}

    @property
    def is_thick(self) -> bool:
        """Whether the line is thick: at most one child per parent."""
        return self in {Strength.ONE, Strength.SECONDARY_ONE}


@dataclass(frozen=True, slots=True)
class Box:
    """A table, or a schema whose tables are collapsed."""

    name: str
    label: str
    kind: Kind
    schema: str
    #: What it says when pointed at.
    tooltip: str = ""
    #: Whether the table adds an attribute of its own to the primary key: its label is underlined.
    is_dimension: bool = False


@dataclass(frozen=True, slots=True)
class Arrow:
    """A reference from `child` to `parent`, both names of boxes."""

    parent: str
    child: str
    strength: Strength
    is_nullable: bool = False
    #: Pairs of different names: the child's attribute and the parent's.
    renamed: tuple[tuple[str, str], ...] = ()

    @property
    def label(self) -> str:
        """The renamed attributes as a projection writes them."""
        return ", ".join(f"{mine}={theirs}" for mine, theirs in self.renamed)

    @property
    def tooltip(self) -> str:
        """The reference in words."""
        optional = ", nullable" if self.is_nullable else ""
        renamed = f"\n{self.label}" if self.renamed else ""
        return f"{self.child} → {self.parent}: {self.strength.value}{optional}{renamed}"


@dataclass(frozen=True, slots=True)
class Drawing:
    """What is drawn, in topological order; `direction` is TB or LR."""

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    direction: str = "TB"

    @property
    def groups(self) -> dict[str, list[Box]]:
        """Schemas → their boxes; boxes of collapsed schemas are in no group."""
        found: dict[str, list[Box]] = {}
        for box in self.boxes:
            found.setdefault("" if box.kind is Kind.SCHEMA else box.schema, []).append(box)
        return found


#: Fill, line and text of each kind on a light page.
LIGHT = {
    Kind.MANUAL: ("#dff2df", "#2e8b57", "#14532d"),
    Kind.LOOKUP: ("#ececec", "#8a8a8a", "#3c3c3c"),
    Kind.IMPORTED: ("#dce8fb", "#2f6fd0", "#123e80"),
    Kind.COMPUTED: ("#fbe0de", "#c8372d", "#7f1d1d"),
    Kind.PART: ("#ffffff", "#ffffff", "#222222"),
    Kind.SCHEMA: ("#f5f0fb", "#8060b0", "#452a75"),
}

_SHAPES = {  # Mermaid's brackets, Graphviz's shape
    Kind.MANUAL: ("[", "]", "box"),
    Kind.LOOKUP: ("[", "]", "box"),
    Kind.IMPORTED: ("([", "])", "ellipse"),
    Kind.COMPUTED: ("([", "])", "ellipse"),
    Kind.PART: ("[", "]", "plaintext"),
    Kind.SCHEMA: ("[[", "]]", "box3d"),
}


def mermaid(drawing: Drawing) -> str:
    """Return the drawing as a Mermaid flowchart, for Markdown pages."""
    ids = {box.name: f"t{i}" for i, box in enumerate(drawing.boxes)}
    lines = [f"flowchart {drawing.direction}"]
    for kind in dict.fromkeys(box.kind for box in drawing.boxes):
        fill, line, text = LIGHT[kind]
        lines.append(f"    classDef {kind.value} fill:{fill},stroke:{line},color:{text}")
    for number, (schema, boxes) in enumerate(drawing.groups.items()):
        nodes = [_mermaid_box(ids[box.name], box) for box in boxes]
        if schema:
            lines.append(f'    subgraph s{number}["{_mermaid_text(schema)}"]')
            lines += [f"    {node}" for node in nodes]
            lines.append("    end")
        else:
            lines += nodes
    for arrow in drawing.arrows:
        line = "-.->" if arrow.strength.is_dashed else "==>" if arrow.strength.is_thick else "-->"
        label = f'|"{_mermaid_text(arrow.label)}"|' if arrow.renamed else ""
        lines.append(f"    {ids[arrow.parent]} {line}{label} {ids[arrow.child]}")
    return "\n".join(lines) + "\n"


def _mermaid_box(name: str, box: Box) -> str:
    left, right, _ = _SHAPES[box.kind]
    label = _mermaid_text(box.label)
    shown = f"<u>{label}</u>" if box.is_dimension else label
    return f'    {name}{left}"{shown}"{right}:::{box.kind.value}'


def _mermaid_text(text: str) -> str:
    """Return text that Mermaid shows as it is: `#…;` is how it writes characters."""
    safe = {*" .,_-=→/:"}
    return "".join(c if c.isalnum() or c in safe else f"#{ord(c)};" for c in text)


def dot(drawing: Drawing) -> str:
    """Return the drawing in Graphviz's language."""
    lines = [
        "digraph {",
        f"  rankdir={drawing.direction};",
        '  node [fontname="Helvetica,Arial,sans-serif", fontsize=12, style=filled, height=0.3];',
        '  edge [dir=none, color="#555555", fontsize=9];',
    ]
    for number, (schema, boxes) in enumerate(drawing.groups.items()):
        nodes = [_dot_box(box) for box in boxes]
        if schema and len(drawing.groups) > 1:
            lines.append(f"  subgraph cluster_{number} {{")
            lines.append(f'    label={_quoted(schema)}; color="#aaaaaa"; style=rounded;')
            lines += [f"  {node}" for node in nodes]
            lines.append("  }")
        else:
            lines += nodes
    lines += [_dot_arrow(arrow) for arrow in drawing.arrows]
    return "\n".join([*lines, "}"]) + "\n"


def _dot_box(box: Box) -> str:
    fill, line, text = LIGHT[box.kind]
    attributes = [
        ("label", box.label),
        ("shape", _SHAPES[box.kind][2]),
        ("fillcolor", "transparent" if box.kind is Kind.PART else fill),
        ("color", line),
        ("fontcolor", text),
        ("tooltip", box.tooltip),
    ]
    return f"  {_quoted(box.name)} [{_attributes(attributes)}];"


def _dot_arrow(arrow: Arrow) -> str:
    attributes = [
        ("style", "dashed" if arrow.strength.is_dashed else "solid"),
        ("penwidth", "2.5" if arrow.strength.is_thick else "1"),
        ("tooltip", arrow.tooltip),
    ]
    if arrow.renamed:
        attributes += [("label", arrow.label), ("fontcolor", "#c27c0e")]
    return f"  {_quoted(arrow.parent)} -> {_quoted(arrow.child)} [{_attributes(attributes)}];"


def _attributes(pairs: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{name}={_quoted(value)}" for name, value in pairs if value)


def _quoted(text: str) -> str:
    r"""Return text in quotes; Graphviz reads `\n` and `&` in labels, so both are escaped."""
    escaped = text.replace("&", "&amp;").replace("\\", "\\\\").replace('"', '\\"')
    return '"' + escaped.replace("\r", "").replace("\n", "\\n") + '"'
