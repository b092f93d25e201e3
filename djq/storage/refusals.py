"""What a bucket's client raises → our errors; the only place that reads what it says."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from obstore.exceptions import (
    BaseError,
    GenericError,
    PermissionDeniedError,
    PreconditionError,
    UnauthenticatedError,
)

from djq.errors import ObjectMissingError, StorageError, StoreUnavailableError

if TYPE_CHECKING:
    from collections.abc import Generator

#: The client has exceptions for what is wrong with an object; for the rest this is all it tells.
_STATUS: Final = re.compile(r"Server returned non-2xx status code: (\d{3})")
#: Asked of the machine it runs on, which has credentials to give in a cloud only.
_ASKED_MACHINE: Final = re.compile(
    r"Error performing [A-Z]+ \w+://[^/]+/"
    r"(latest/(api/token|meta-data/)|computeMetadata/|metadata/identity/)"
)
_NO_BUCKET: Final = re.compile(r"<Code>(NoSuchBucket|ContainerNotFound)</Code>")
#: What the client itself finds: a range behind the end, and a bucket of another region.
_FOUND_ITSELF: Final = re.compile(
    r"Generic \w+ error: Invalid range|Received redirect without LOCATION"
)
_UNKNOWN: Final = frozenset({401, 403})
_MISSING: Final = 404
#: Too slow, in conflict with others, too many: it may go well the next time.
_PASSING: Final = frozenset({408, 409, 425, 429})

#: Where the client's own failures come from, which are no `Exception`.
_PANIC: Final = "pyo3_runtime"

_CREATE: Final = "the bucket does not exist: create it, or correct the store's url"
_ALLOW: Final = "the store does not let you: check its credentials, and what they may do there"
_IDENTIFY: Final = "there are no credentials: set them for the store, or in the environment"


@contextmanager
def our_errors(verb: str, path: str, address: str) -> Generator[None]:
    """Raise what the client raises inside of the block as errors of a store."""
    where = f"{verb} {path!r} in {address}"
    try:
        yield
    except FileNotFoundError as error:
        if verb == "put" or _NO_BUCKET.search(str(error)):
            message = f"{where}: {_CREATE}"
            raise StorageError(message) from error
        message = f"no object at {path!r} in {address}"
        raise ObjectMissingError(message) from error
    except PreconditionError as error:
        message = f"{where}: the object was replaced while it was read; read it again"
        raise StoreUnavailableError(message) from error
    except (GenericError, PermissionDeniedError, UnauthenticatedError) as error:
        said = _first_line(error)
        if reason := _refusal(error):
            message = f"{where}: {reason}: {said}"
            raise StorageError(message) from error
        message = f"{where}: the store did not answer, also after retries: {said}"
        raise StoreUnavailableError(message) from error
    except (BaseError, PermissionError, ValueError, OSError) as error:
        message = f"{where}: {_first_line(error)}"
        raise StorageError(message) from error
    except BaseException as error:
        if type(error).__module__ != _PANIC:
            raise
        message = f"{where}: the client broke off, most likely at an option of the store: {error}"
        raise StorageError(message) from error


def _refusal(error: Exception) -> str | None:
    """Return why trying again does not help; None if it may."""
    said = _first_line(error)
    if _ASKED_MACHINE.search(said):
        return _IDENTIFY
    found = _STATUS.search(said)
    status = int(found[1]) if found else None
    if status in _UNKNOWN or isinstance(error, PermissionDeniedError | UnauthenticatedError):
        return _ALLOW
    if status == _MISSING:
        return _CREATE
    is_passing = status is None or status in _PASSING or status >= 500  # noqa: PLR2004 - as HTTP
    if is_passing and not _FOUND_ITSELF.search(said):
        return None
    return "the store refused"


def _first_line(error: Exception) -> str:
    """Return what the client says, without the internals that it prints below."""
    return str(error).strip().split("\n", 1)[0]
