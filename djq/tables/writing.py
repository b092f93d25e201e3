"""`Writable`: the verbs that bring rows into a table."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from djq.algebra.nodes import Relation
from djq.errors import RowError, UsageError
from djq.tables.classwise import on_class_too, seen_on_class_too
from djq.tables.encode import RowEncoder
from djq.tables.insert import Options, check_direct_insert, insert_one, insert_rows
from djq.tables.intake import index_as_columns
from djq.tables.query import Query
from djq.tables.staging import StagedInsert
from djq.tables.transfer import as_query, insert_query
from djq.tables.update import update_row
from djq.tables.validate import ValidationResult, validate_rows

if TYPE_CHECKING:
    from djq.definition.acceptance import Value
    from djq.definition.spec import TableSpec


class Writable(Query):
    """A table whose rows can be inserted and changed."""

    #: Set when the class is declared.
    spec: ClassVar[TableSpec]

    @on_class_too
    def insert(
        self,
        rows: Value,
        replace: bool = False,
        skip_duplicates: bool = False,
        ignore_extra_fields: bool = False,
        allow_direct_insert: bool | None = None,
        chunk_size: int | None = None,
    ) -> None:
        """Insert rows, all or none.

        Parameters
        ----------
        rows
            Mappings of names to values, sequences in heading order, or numpy records; a DataFrame
            of pandas or polars, an Arrow table; the `pathlib.Path` of a CSV file; a query or
            table, whose rows are inserted on the server where that is possible.
        replace
            Overwrite rows whose primary key is taken; rows that refer to them stay.
        skip_duplicates
            Leave rows alone whose primary key is taken.
        ignore_extra_fields
            Leave out values whose names are not attributes, instead of refusing the row.
        allow_direct_insert
            Let rows into an Imported or Computed table outside of its `make`.
        chunk_size
            Commit this many rows at a time, unless a transaction is open: an error leaves the
            chunks before it in the table.

        Raises
        ------
        RowError
            A row does not fit: the message names row, attribute and value.
        DuplicateError
            A key, or the values of a unique index, are taken.
        BrokenReferenceError
            A parent row is missing.
        """
        check_direct_insert(self.spec, allowed=bool(allow_direct_insert))
        options = Options.of(
            replace=replace,
            skip_duplicates=skip_duplicates,
            ignore_extra_fields=ignore_extra_fields,
            chunk_size=chunk_size,
        )
        query = as_query(rows)
        if query is not None:
            insert_query(self._encoder(), self.connection, query, options)
        else:
            insert_rows(self._encoder(), self.connection, rows, options)

    @on_class_too
    def insert1(
        self,
        row: Value,
        replace: bool = False,
        skip_duplicates: bool = False,
        ignore_extra_fields: bool = False,
        allow_direct_insert: bool | None = None,
    ) -> None:
        """Insert one row; see `insert`."""
        check_direct_insert(self.spec, allowed=bool(allow_direct_insert))
        options = Options.of(
            replace=replace,
            skip_duplicates=skip_duplicates,
            ignore_extra_fields=ignore_extra_fields,
        )
        insert_one(self._encoder(), self.connection, row, options)

    @seen_on_class_too
    def staged_insert1(self) -> StagedInsert:
        """Begin a row whose objects are written straight into their stores.

        It is inserted at the end of the `with` block; an error in it removes the objects. Only
        attributes `<object@store>` can be staged::

            with Recording.staged_insert1 as staged:
                staged.rec["recording"] = 1
                group = zarr.open(staged.store("raw", ".zarr"), mode="w")
                ...
        """
        return StagedInsert(self._encoder(), self.connection)

    @on_class_too
    def insert_dataframe(
        self, /, df: Value, index_as_pk: bool | None = None, **options: Value
    ) -> None:
        """Insert the rows of a pandas DataFrame.

        Parameters
        ----------
        df
            Columns are matched by name.
        index_as_pk
            Whether the index holds key attributes; None: if its names are attributes.
        options
            Those of `insert`.
        """
        if not hasattr(df, "reset_index"):
            message = f"insert_dataframe takes a pandas DataFrame, not {type(df).__name__}"
            raise RowError(message)
        self.insert(
            index_as_columns(df, self.spec, wanted=index_as_pk).reset_index(drop=True), **options
        )

    @on_class_too
    def validate(self, rows: Value, *, ignore_extra_fields: bool = False) -> ValidationResult:
        """Check rows without writing them, and tell all that is wrong.

        Whether a key is taken or a parent row is missing is for the database to say, on insert.
        """
        encoder = RowEncoder.of(self.spec, self.connection, puts=False)
        query = as_query(rows)
        given = rows if query is None else query
        return validate_rows(encoder, given, ignore_extra_fields=ignore_extra_fields)

    @on_class_too
    def update1(self, row: Value) -> None:
        """Change attributes of one row.

        Parameters
        ----------
        row
            The primary key, which finds the row, and the attributes to change; None resets one to
            its default.

        Raises
        ------
        UsageError
            The table is restricted, a name or value is wrong, or there is no such row.
        """
        if not isinstance(self.node, Relation):
            message = (
                f"{self.spec.display_name}: update1 finds its row by the primary key that it is "
                "given, and not by a restriction: call it on the table itself"
            )
            raise UsageError(message)
        update_row(self._encoder(), self.connection, row)

    def _encoder(self) -> RowEncoder:
        raise NotImplementedError
