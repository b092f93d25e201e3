"""The tree of exceptions.

Every exception that djq raises on purpose derives from `DjqError`::

    DjqError
    ├── UsageError               a programming mistake; nothing was changed
    │   ├── DefinitionError      a definition text or a table class
    │   ├── QueryError           a restriction, projection, join or fetch
    │   ├── RowError             a row that does not fit its table
    │   ├── ConfigError          a setting
    │   └── CodecError           a value that cannot be encoded, or bytes that cannot be decoded
    ├── DatabaseError            the database said no
    │   ├── IntegrityError       a constraint would be violated
    │   │   ├── DuplicateError   the key exists
    │   │   └── BrokenReferenceError   the parent row does not exist, or a child row does
    │   ├── AccessError          the user may not do this
    │   ├── MissingTableError    the table or schema is not there
    │   ├── TransactionEndedError      raw SQL ended the transaction: it cannot be undone
    │   └── TransientDatabaseError     trying again may help
    │       ├── UnreachableError       no connection could be made
    │       ├── LostConnectionError    the connection ended in the middle of a transaction
    │       └── ContentionError        deadlock, lock wait timeout, busy file
    ├── StorageError             the object store said no
    │   ├── ObjectMissingError
    │   ├── ObjectCorruptedError
    │   └── StoreUnavailableError      trying again may help
    ├── FleetError               Redis, Celery or the workers
    │   ├── RedisUnavailableError
    │   └── PipelineMissingError a worker was asked for a table it does not know
    ├── MakeError                `make` did not do its part
    │   ├── NothingInsertedError
    │   ├── InputsChangedError   trying again may help
    │   ├── TimeLimitError       it took longer than its options say
    │   └── OutOfMemoryError     its process held more memory than there is for it
    └── ControlFlow              not a failure
        └── LeaseLostError       the reservation moved on: the result must not be committed

A message says what was wrong (with the value), where (table, attribute, line, key) and what to do.

What may be meant so is told by a warning; `warnings.simplefilter("error", RestrictionWarning)`
makes it an exception::

    UserWarning
    └── RestrictionWarning       what says nothing of the keys restricts `populate` to nothing
"""

from __future__ import annotations


class DjqError(Exception):
    """Base of every exception raised by djq."""


class UsageError(DjqError):
    """A programming mistake; nothing was changed."""


class DefinitionError(UsageError):
    """A table definition or class cannot be declared."""


class QueryError(UsageError):
    """A query is wrong: unknown attribute, bad condition, ambiguous join, not exactly one row."""


class RowError(UsageError):
    """A row does not fit its table: unknown, missing or ill-typed value."""


class ConfigError(UsageError):
    """A setting is missing, unknown or has a wrong value."""


class CodecError(UsageError):
    """A value cannot be encoded, or bytes cannot be decoded."""


class DatabaseError(DjqError):
    """The database refused a statement."""


class IntegrityError(DatabaseError):
    """A constraint would be violated."""


class DuplicateError(IntegrityError):
    """A row with the same primary or unique key exists."""


class BrokenReferenceError(IntegrityError):
    """A foreign key has no parent row, or a parent row still has children."""


class AccessError(DatabaseError):
    """The database user lacks a privilege."""


class MissingTableError(DatabaseError):
    """The table or schema does not exist in the database."""


class TransactionEndedError(DatabaseError):
    """Raw SQL ended the transaction of an open block: what it wrote before cannot be undone."""


class TransientDatabaseError(DatabaseError):
    """The same request may succeed when it is tried again."""


class UnreachableError(TransientDatabaseError):
    """No connection to the database could be made."""


class LostConnectionError(TransientDatabaseError):
    """The connection ended in the middle of a transaction; nothing of it was committed."""


class ContentionError(TransientDatabaseError):
    """Deadlock, lock wait timeout or busy file; the transaction was rolled back."""


class StorageError(DjqError):
    """An object store refused a request."""


class ObjectMissingError(StorageError):
    """No object at this address."""


class ObjectCorruptedError(StorageError):
    """The object's bytes do not match its address."""


class StoreUnavailableError(StorageError):
    """The store did not answer; the same request may succeed when it is tried again."""


class FleetError(DjqError):
    """Redis, Celery or the workers."""


class RedisUnavailableError(FleetError):
    """Redis is not configured, or did not answer."""


class PipelineMissingError(FleetError):
    """A process was asked for a table that none of its modules defines."""


class MakeError(DjqError):
    """A `make` did not do its part: raised, or inserted nothing."""


class NothingInsertedError(MakeError):
    """A `make` returned and had inserted no row."""


class InputsChangedError(MakeError):
    """What a make fetched changed before its result was committed; it is made again."""


class TimeLimitError(MakeError):
    """A `make` took longer than its `PopulateOptions` say; raised in it by the soft limit."""


class OutOfMemoryError(MakeError):
    """The process of a `make` held more memory than its options or its queue allow."""


class ControlFlow(DjqError):  # noqa: N818 - not a failure
    """Base of signals that are not failures."""


class LeaseLostError(ControlFlow):
    """The reservation of this key moved on; its result must not be committed."""


class RestrictionWarning(UserWarning):
    """A restriction of `populate` has no attribute of the keys, and leaves all of them."""
