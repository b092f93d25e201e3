"""`Shown`: a query as people see it, in a terminal and in a notebook."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from djq.algebra.ordering import check_number
from djq.errors import QueryError
from djq.tables.classwise import drawn_on_class_too, on_class_too
from djq.tables.kinds import is_loaded
from djq.tables.options import bound, narrowed, window
from djq.tables.preview import Preview, cell
from djq.tables.source import RowSource

if TYPE_CHECKING:
    from djq.definition.spec import TableSpec

#: Of a page or a log, which have no width of their own [characters].
PAGE = (160, 24)
#: Narrowest that values may be cut.
NARROWEST = 4


class Shown(RowSource):
    """A set of rows that shows its first ones."""

    @on_class_too
    def preview(self, limit: int | None = None, width: int | None = None) -> str:
        """Return the first rows as a table of text; blobs and objects are not loaded.

        Parameters
        ----------
        limit
            Rows; None: as the setting `display_limit` says.
        width
            Characters per value; None: as the setting `display_width` says.
        """
        return self._preview(limit, width).text(shutil.get_terminal_size(PAGE).columns)

    def __repr__(self) -> str:
        """Return the first rows as a table."""
        return self.preview()

    @drawn_on_class_too
    def _repr_html_(self) -> str:
        return self._preview(None, None).html()

    def _preview(self, limit: int | None, width: int | None) -> Preview:
        settings = self.connection.settings
        limit = bound("limit", settings.display_limit if limit is None else limit)
        check_number("limit", limit)
        width = bound("width", settings.display_width if width is None else width)
        if width < NARROWEST:
            message = f"width={width}: a value is shown in {NARROWEST} characters or more"
            raise QueryError(message)
        heading = self.heading
        loaded = tuple(a.name for a in heading if is_loaded(a))
        # One more tells whether there are more.
        rows = self._rows(window(narrowed(self.node, loaded), None, limit + 1, 0))
        has_more = len(rows) > limit
        counts = settings.display_show_tuple_count
        total = (len(self) if has_more else len(rows)) if counts else None
        places = {a.name: _placeholder(str(a.type)) for a in heading if not is_loaded(a)}
        spec: TableSpec | None = getattr(self, "spec", None)
        return Preview(
            title=self._describe(),
            comment=spec.comment if spec is not None else "",
            names=heading.names,
            n_key=len(heading.primary_key),
            rows=tuple(
                tuple(places[n] if n in places else cell(row[n], width) for n in heading.names)
                for row in rows[:limit]
            ),
            has_more=has_more,
            total=total,
        )


def _placeholder(type_: str) -> str:
    return type_ if type_.startswith("<") else f"<{type_}>"
