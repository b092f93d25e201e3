"""`Fetchable`: a query's rows, fetched in many shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from djq.algebra.ordering import at_most
from djq.errors import QueryError
from djq.tables import arrow, frames
from djq.tables.classwise import on_class_too, typed_on_class_too
from djq.tables.kinds import kind_of
from djq.tables.options import KEY, expanded, narrowed, refuse_unknown, window
from djq.tables.shapes import Row, as_array, as_dicts, as_records
from djq.tables.shown import Shown
from djq.tables.signatures import Fetch, Fetch1, ToArrays

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd  # pyright: ignore[reportMissingTypeStubs]
    import polars as pl
    import pyarrow as pa  # pyright: ignore[reportMissingTypeStubs]

    from djq.algebra.nodes import Node
    from djq.definition.acceptance import Value
    from djq.tables.options import OrderBy
    from djq.tables.shapes import Column

__all__ = ["Fetchable", "Row"]

#: What `fetch` takes beside names.
_OPTIONS = ("as_dict", "format", "order_by", "limit", "offset", "squeeze")
_FORMATS = (None, "array", "frame")


class Fetchable(Shown):
    """A set of rows, described and not yet fetched."""

    # --- one row -------------------------------------------------------------------------------

    @typed_on_class_too[Fetch1]
    def fetch1(self, *attributes: str, squeeze: bool = False) -> Value:
        """Return the one row there is: a dict, or the values of the named attributes.

        One name gives its value, several give a tuple; `"KEY"` is the primary key as a dict.
        `squeeze` takes axes of length 1 from arrays.

        Raises
        ------
        QueryError
            There is no row, or more than one.
        """
        node = self.node
        if attributes:
            node = narrowed(node, expanded(attributes, node.heading))
        rows = self._rows(at_most(node, 2), squeeze=squeeze)
        if len(rows) != 1:
            found = (
                f"{len(self)} rows: restrict it" if rows else "no row: to_dicts takes any number"
            )
            message = f"fetch1 needs exactly one row, and {self._describe()} has {found}"
            raise QueryError(message)
        row = rows[0]
        if not attributes:
            return row
        values = tuple(self._pick(row, a) for a in attributes)
        return values[0] if len(attributes) == 1 else values

    def _pick(self, row: Row, name: str) -> Value:
        return {n: row[n] for n in self.heading.primary_key} if name == KEY else row[name]

    # --- dicts ---------------------------------------------------------------------------------

    @on_class_too
    def to_dicts(
        self,
        order_by: OrderBy = None,
        limit: int | None = None,
        offset: int | None = None,
        squeeze: bool = False,
    ) -> list[Row]:
        """Return the rows as a list of dicts.

        Parameters
        ----------
        order_by
            `"a DESC"`, `["a", "b"]`, `"KEY"` (the primary key) or `"KEY DESC"`.
        limit, offset
            At most so many rows, after leaving out so many.
        squeeze
            Take axes of length 1 from arrays.
        """
        return self._rows(window(self.node, order_by, limit, offset), squeeze=squeeze)

    @on_class_too
    def keys(
        self, order_by: OrderBy = None, limit: int | None = None, offset: int | None = None
    ) -> list[Row]:
        """Return the primary keys as a list of dicts; see `to_dicts`."""
        node = window(self.node, order_by, limit, offset)
        return self._rows(narrowed(node, node.heading.primary_key))

    @on_class_too
    def head(self, limit: int = 25) -> list[Row]:
        """Return the first rows in the order of the primary key."""
        return self._rows(window(self.node, KEY, limit, 0))

    @on_class_too
    def tail(self, limit: int = 25) -> list[Row]:
        """Return the last rows in the order of the primary key, the last one at the end."""
        return self._rows(window(self.node, f"{KEY} DESC", limit, 0))[::-1]

    # --- arrays --------------------------------------------------------------------------------

    @typed_on_class_too[ToArrays]
    def to_arrays(
        self,
        *attributes: str,
        include_key: bool = False,
        order_by: OrderBy = None,
        limit: int | None = None,
        offset: int | None = None,
        squeeze: bool = False,
    ) -> Value:
        """Return the rows as a structured array, or the values of attributes as arrays.

        One name gives an array, several give a tuple of them; with `include_key` the keys come
        first, as a list of dicts. Numbers are int64 and float64, with NaN for null; bools are
        bool; the rest, and whole numbers of which some are null, are objects. For `order_by` and
        the others see `to_dicts`.
        """
        names = (KEY, *attributes) if include_key and attributes else attributes
        node = window(self.node, order_by, limit, offset)
        found = self._arrays(node, names, squeeze=squeeze)
        return tuple(found) if len(names) > 1 else found

    def _arrays(self, node: Node, names: Sequence[str], *, squeeze: bool) -> Value:
        if not names:
            return as_records(self._columns(node, squeeze=squeeze), node.heading)
        by_name = self._named_columns(node, names, squeeze=squeeze)
        key = node.heading.primary_key
        found = [
            as_dicts(key, [by_name[k] for k in key])
            if name == KEY
            else as_array(by_name[name], kind_of(node.heading[name]))
            for name in names
        ]
        return found[0] if len(found) == 1 else found

    def _named_columns(
        self, node: Node, names: Sequence[str], *, squeeze: bool
    ) -> dict[str, Column]:
        """Return the columns that are asked for; no others are read."""
        shown = expanded(names, node.heading)
        columns = self._columns(narrowed(node, shown), squeeze=squeeze)
        return dict(zip(shown, columns, strict=True))

    @typed_on_class_too[Fetch]
    def fetch(
        self,
        *attributes: str,
        as_dict: bool | None = None,
        format: str | None = None,  # noqa: A002 - DataJoint's
        order_by: OrderBy = None,
        limit: int | None = None,
        offset: int | None = None,
        squeeze: bool = False,
        **unknown: Value,
    ) -> Value:
        """Return the rows in the shapes of DataJoint 0.14.

        Without names: a structured array. With one name: an array of its values; with several: a
        list of arrays. `"KEY"` gives the primary keys as a list of dicts.

        Parameters
        ----------
        as_dict
            Return a list of dicts instead.
        format
            `"frame"` returns a DataFrame of pandas instead, with the key as its index.
        order_by, limit, offset, squeeze
            See `to_dicts`.
        """
        refuse_unknown(unknown, _OPTIONS, "fetch")
        if format not in _FORMATS or (as_dict and format == "frame"):
            known = '"array", "frame"' if format not in _FORMATS else "one of the two"
            message = f"fetch(as_dict={as_dict}, format={format!r}): give {known} or neither"
            raise QueryError(message)
        node = window(self.node, order_by, limit, offset)
        if format == "frame":
            return self._frame(node, attributes, squeeze=squeeze)
        if as_dict:
            shown = expanded(attributes, node.heading) if attributes else node.heading.names
            return self._rows(narrowed(node, shown), squeeze=squeeze)
        return self._arrays(node, attributes, squeeze=squeeze)

    # --- frames --------------------------------------------------------------------------------

    @on_class_too
    def to_pandas(
        self,
        order_by: OrderBy = None,
        limit: int | None = None,
        offset: int | None = None,
        squeeze: bool = False,
    ) -> pd.DataFrame:
        """Return the rows as a DataFrame of pandas, with the primary key as its index.

        Types are the heading's; whole numbers and bools that may be null are of pandas' nullable
        types. See `to_dicts` for the parameters.

        Raises
        ------
        ConfigError
            pandas is not installed.
        """
        return self._frame(window(self.node, order_by, limit, offset), (), squeeze=squeeze)

    def _frame(self, node: Node, names: Sequence[str], *, squeeze: bool) -> Any:  # noqa: ANN401
        """Return the DataFrame of some attributes and the key, or of all."""
        shown = expanded((KEY, *names), node.heading) if names else node.heading.names
        node = narrowed(node, shown)
        columns = self._columns(node, squeeze=squeeze)
        return frames.to_pandas(columns, node.heading, node.heading.primary_key)

    @on_class_too
    def to_polars(
        self,
        order_by: OrderBy = None,
        limit: int | None = None,
        offset: int | None = None,
        squeeze: bool = False,
    ) -> pl.DataFrame:
        """Return the rows as a DataFrame of polars, with the heading's types; see `to_dicts`.

        Raises
        ------
        ConfigError
            polars is not installed.
        """
        node = window(self.node, order_by, limit, offset)
        found: pl.DataFrame = frames.to_polars(self._columns(node, squeeze=squeeze), node.heading)
        return found

    @on_class_too
    def to_arrow(  # pyright: ignore[reportUnknownParameterType]
        self,
        order_by: OrderBy = None,
        limit: int | None = None,
        offset: int | None = None,
        squeeze: bool = False,
    ) -> pa.Table:  # pyright: ignore[reportUnknownMemberType]
        """Return the rows as an Arrow table, with the heading's types; see `to_dicts`.

        Raises
        ------
        QueryError
            Encoded values are neither arrays of numbers of one form nor plain values of one type.
        ConfigError
            pyarrow is not installed.
        """
        node = window(self.node, order_by, limit, offset)
        return arrow.to_arrow(self._columns(node, squeeze=squeeze), node.heading)
