"""The first rows of a query, for people: as text and as HTML."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from djq.definition.acceptance import Value

Cells: TypeAlias = "tuple[str, ...]"

#: Between columns of text.
_GAP = "  "
_MORE = "..."


@dataclass(frozen=True)
class Preview:
    """The first rows of a query, as text in cells."""

    title: str
    comment: str
    names: Cells
    #: How many of the first names are the primary key.
    n_key: int
    rows: tuple[Cells, ...]
    #: There are rows behind these.
    has_more: bool
    #: Rows in all, None where they were not counted.
    total: int | None

    # --- text ----------------------------------------------------------------------------------

    def text(self, line: int) -> str:
        """Return a table of text; columns that do not fit the line are left out."""
        header = tuple(f"*{n}" if i < self.n_key else n for i, n in enumerate(self.names))
        table = [header, *self.rows]
        widths = [max(map(len, cells)) for cells in zip(*table, strict=True)]
        kept = self._kept(widths, line)
        is_cut = kept < len(widths)
        lines = [
            _GAP.join([c.ljust(w) for c, w in zip(cells[:kept], widths[:kept], strict=True)])
            + (f"{_GAP}{_MORE}" if is_cut else "")
            for cells in table
        ]
        return "\n".join([*(each.rstrip() for each in lines), *self._footer(kept)])

    def _kept(self, widths: list[int], line: int) -> int:
        """Return how many of the columns fit; the first one always does."""
        kept, used = 0, 0
        for width in widths:
            used += width + len(_GAP)
            is_last = kept == len(widths) - 1
            if kept and used - len(_GAP) + (0 if is_last else len(_GAP) + len(_MORE)) > line:
                break
            kept += 1
        return kept

    def _footer(self, kept: int) -> list[str]:
        more: list[str] = []
        if self.has_more:
            n_more = "more" if self.total is None else f"{self.total - len(self.rows)} more"
            more.append(f"   … {n_more}")
        said = [] if self.total is None else [f"{self.total} rows"]
        if kept < len(self.names):
            said.append(f"{kept} of {len(self.names)} attributes")
        return [*more, f"({', '.join(said)})"] if said else more

    # --- HTML ----------------------------------------------------------------------------------

    def html(self) -> str:
        """Return a table of HTML, for light and dark pages."""
        head = "".join(
            f'<th class="{"djq-key" if i < self.n_key else "djq-value"}">{html.escape(n)}</th>'
            for i, n in enumerate(self.names)
        )
        body = "".join(
            f"<tr>{''.join(f'<td>{html.escape(c)}</td>' for c in cells)}</tr>"
            for cells in self.rows
        )
        comment = f"<div>{html.escape(self.comment)}</div>" if self.comment else ""
        footer = "".join(f"<div>{html.escape(each.strip())}</div>" for each in self._all())
        return (
            f'<div class="djq-preview"><style>{_CSS}</style>'
            f"<div><b>{html.escape(self.title)}</b></div>{comment}"
            f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{footer}</div>"
        )

    def _all(self) -> list[str]:
        return self._footer(len(self.names))


#: Colours are the page's own, so that the table is readable on light and on dark.
_CSS = (
    ".djq-preview{overflow-x:auto;color:inherit}"
    ".djq-preview table{border-collapse:collapse;margin:.3em 0;font-variant-numeric:tabular-nums}"
    ".djq-preview th,.djq-preview td{padding:.2em .7em;text-align:left;color:inherit;"
    "background:transparent;border:0;border-bottom:1px solid rgba(128,128,128,.35);"
    "white-space:pre}"
    ".djq-preview th{border-bottom:2px solid rgba(128,128,128,.7)}"
    ".djq-preview .djq-key{text-decoration:underline;text-underline-offset:.25em}"
    ".djq-preview .djq-value{font-weight:normal}"
)


def cell(value: Value, width: int) -> str:
    """Return a value in one line of at most `width` characters."""
    text = value if isinstance(value, str) else str(value)
    if not text.isprintable():
        text = "".join(c if c.isprintable() else repr(c)[1:-1] for c in text[: width + 1])
    return text if len(text) <= width else f"{text[: width - 1]}…"
