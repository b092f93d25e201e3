"""The first rows of a query, for people: as text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from djq.definition.acceptance import Value
    from djq.definition.heading import Heading

Row = dict[str, Any]


def preview(
    names: Sequence[str], rows: list[Row], *, total: int, heading: Heading, width: int
) -> str:
    """Return rows as text: key attributes are marked, encoded values are not loaded."""
    header = [f"*{n}" if heading[n].in_key else n for n in names]
    body = [
        [_short(row[n], width) if n in row else str(heading[n].type) for n in names] for row in rows
    ]
    widths = [max(len(line[i]) for line in [header, *body]) for i in range(len(header))]
    lines = [
        "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True))
        for line in [header, *body]
    ]
    more = [f"   … {total - len(rows)} more"] if total > len(rows) else []
    return "\n".join([*(line.rstrip() for line in lines), *more, f"({total} rows)"])


def _short(value: Value, most: int) -> str:
    text = str(value)
    return text if len(text) <= most else f"{text[: most - 1]}…"
