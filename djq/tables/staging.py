"""`StagedInsert`: a row whose objects are written straight into their stores, before it."""

from __future__ import annotations

import logging
import tempfile
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from djq.errors import IntegrityError, RowError, StorageError, UsageError
from djq.hints import did_you_mean
from djq.objects.managed import ObjectCodec, Stored
from djq.objects.places import check_extension
from djq.objects.staged import LocalStage, StoreStage
from djq.tables.insert import Options, check_direct_insert, insert_one

if TYPE_CHECKING:
    from typing import Self

    from djq.codecs.codec import Context
    from djq.definition.acceptance import Value
    from djq.objects.staged import Stage
    from djq.tables.coding import Coding
    from djq.tables.connection import Connection
    from djq.tables.encode import RowEncoder

_log = logging.getLogger("djq")
#: After these it is certain that the row is not there, and its objects can go. What a lost
#: connection did is not known.
_CERTAIN = (UsageError, IntegrityError, StorageError)


class StagedInsert:
    """One row, inserted at the end of the `with` block, and its objects, written in it.

    An error in the block removes the objects; no row is inserted. A crash leaves objects that
    nothing refers to, for garbage collection.

    Attributes
    ----------
    rec
        The row's other values; the key first, where `store` is used.
    """

    def __init__(self, encoder: RowEncoder, connection: Connection) -> None:
        self._encoder = encoder
        self._connection = connection
        self._stages: dict[str, Stage] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._is_open = False
        self.rec: dict[str, Value] = {}

    def __enter__(self) -> Self:
        """Begin a row."""
        check_direct_insert(self._encoder.spec, allowed=False)
        self._is_open = True
        return self

    def __exit__(self, kind: type[BaseException] | None, *raised: object) -> None:
        """Insert the row; or, after an error, remove the objects."""
        self._is_open = False
        try:
            if kind is None:
                self._insert()
            else:
                self._discard()
        finally:
            if self._folder is not None:
                self._folder.cleanup()

    def open(self, field: str, ext: str = "", mode: str = "wb") -> IO[Any]:
        """Open a file that becomes the object of the attribute `field`.

        It is a file of this machine, in the folder for temporary files, in which one can also seek
        and read; at the end of the block it is stored as one object.

        Parameters
        ----------
        field
            An attribute `<object@store>`.
        ext
            `".bin"`; "": none.
        mode
            `"wb"`, `"w+b"`, or `"w"` for text in UTF-8.
        """
        stage = self._local(field, ext)
        file = stage.open(mode)
        self._stages[field] = stage
        return file

    def folder(self, field: str, ext: str = "") -> Path:
        """Return an empty folder of this machine, which becomes the object of `field`.

        What is in it at the end of the block is stored, several files at a time.
        """
        stage = self._local(field, ext)
        stage.local.mkdir()
        self._stages[field] = stage
        return stage.local

    def store(self, field: str, ext: str = "") -> Any:  # noqa: ANN401 - of an optional library
        """Return a folder in the store as a mapping of fsspec, as zarr and xarray open it.

        What is written is in the store at once, file by file. The row will know the files and
        their sizes, and not their hashes. `rec` must have the key, which is part of the path.

        Raises
        ------
        ConfigError
            fsspec is not installed; `folder` does without.
        """
        self._check(field)
        stage = StoreStage(self._context(field), check_extension(ext))
        self._stages[field] = stage
        return stage.mapping

    def _local(self, field: str, ext: str) -> LocalStage:
        self._check(field)
        ext = check_extension(ext)
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="djq-staged-")
        path = Path(self._folder.name) / f"{field}{ext}"
        return LocalStage(path, ext, lambda: self._context(field))

    # --- the end -------------------------------------------------------------------------------

    def _insert(self) -> None:
        try:
            check_direct_insert(self._encoder.spec, allowed=False)
            self._refuse_values_of_staged()
            stored = {name: Stored(stage.finish()) for name, stage in self._stages.items()}
        except BaseException:
            self._discard()
            raise
        try:
            insert_one(self._encoder, self._connection, {**self.rec, **stored}, Options())
        except _CERTAIN:
            self._discard()
            raise

    def _refuse_values_of_staged(self) -> None:
        twice = sorted(self._stages.keys() & self.rec.keys())
        if twice:
            message = (
                f'{self._encoder.spec.display_name}: "{twice[0]}" is staged, and has a value in '
                "rec, too: leave the value out"
            )
            raise UsageError(message)

    def _discard(self) -> None:
        """Remove the objects; one that cannot be removed hides no error that is on its way."""
        for name, stage in self._stages.items():
            try:
                stage.discard()
            except StorageError as error:
                place = {"table": self._encoder.spec.display_name, "attribute": name}
                _log.warning("staged_object_left", extra={**place, "error": str(error)})

    # --- the attribute -------------------------------------------------------------------------

    def _check(self, field: str) -> None:
        """Refuse what cannot be staged now."""
        where = f"{self._encoder.spec.display_name}.staged_insert1"
        if not self._is_open:
            message = f"{where} is used in a with block: with Table.staged_insert1 as staged: …"
            raise UsageError(message)
        if field in self._stages:
            message = f'{where}: "{field}" is staged already; it has one object'
            raise UsageError(message)
        self._coding(field)

    def _coding(self, field: str) -> Coding:
        spec = self._encoder.spec
        codings = {part.attribute.name: part.coding for part in self._encoder.parts}
        coding = codings.get(field)
        if coding is not None and isinstance(coding.chain.links[0], ObjectCodec):
            return coding
        if field in codings:
            problem = f"is {spec.heading[field].type}, and only <object@store> can be staged"
        else:
            problem = f"is no attribute. {did_you_mean(field, list(codings))}"
        message = f'{spec.display_name}: "{field}" {problem.strip()}'
        raise UsageError(message)

    def _context(self, field: str) -> Context:
        """Return the place of an attribute in the row.

        Raises
        ------
        RowError
            A value of the key is wrong, or not there yet.
        """
        spec = self._encoder.spec
        needed = [spec.heading[name] for name in spec.heading.primary_key]
        lacking = [a.name for a in needed if a.name not in self.rec and not a.has_default]
        if lacking:
            message = (
                f'{spec.display_name}: "{lacking[0]}" is not in rec yet: the path of an object has '
                "the row's key, so that it comes first"
            )
            raise RowError(message)
        given = {a.name: self.rec[a.name] for a in needed if a.name in self.rec}
        return self._coding(field).at(self._encoder.encode_some(given, 1)).context
