"""What a bucket's client says, and whether trying again may help."""

from __future__ import annotations

import pytest
from obstore.exceptions import GenericError, PermissionDeniedError, UnauthenticatedError

from djq.errors import ObjectMissingError, StorageError, StoreUnavailableError
from djq.storage.refusals import our_errors

ASKED = "Generic S3 error: Error performing GET http://h/b?list-type=2 in 3ms"
STATUS = f"{ASKED} - Server returned non-2xx status code:"


def raised(error: Exception, verb: str = "list") -> StorageError:
    with pytest.raises(StorageError) as caught, our_errors(verb, "a", "s3://b"):
        raise error
    assert caught.value.__cause__ is error
    return caught.value


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (GenericError(f"{STATUS} 403 Forbidden: <Error>\n"), "check its credentials"),
        (GenericError(f"{STATUS} 401 Unauthorized: \n"), "check its credentials"),
        (PermissionDeniedError("whatever"), "check its credentials"),
        (UnauthenticatedError("whatever"), "check its credentials"),
        (
            GenericError(f"{STATUS} 404 Not Found: <Error>\n"),
            "the bucket does not exist: create it",
        ),
        (GenericError(f"{STATUS} 416 Range Not Satisfiable: \n"), "the store refused"),
        (GenericError(f"{STATUS} 301 Moved Permanently: \n"), "the store refused"),
        (GenericError(f"{ASKED} - Received redirect without LOCATION, this"), "the store refused"),
        (GenericError("Generic InMemory error: Invalid range: too far"), "the store refused"),
    ],
)
def test_what_stays_wrong_is_no_outage(error: Exception, advice: str):
    found = raised(error)
    assert type(found) is StorageError
    assert f"list 'a' in s3://b: {advice}" in str(found).replace("the store does not let you: ", "")


@pytest.mark.parametrize(
    "path",
    ["latest/api/token", "computeMetadata/v1/instance", "metadata/identity/oauth2/token?a=b"],
)
@pytest.mark.parametrize(
    "how", ["Server returned non-2xx status code: 403", "HTTP error: no route"]
)
def test_a_machine_that_has_no_credentials_to_give_is_no_outage(path: str, how: str):
    found = raised(
        GenericError(f"Generic error: Error performing PUT http://m/{path} in 1ms - {how}")
    )
    assert type(found) is StorageError
    assert "there are no credentials: set them" in str(found)


@pytest.mark.parametrize(
    "said",
    [
        f"{ASKED}, after 36 retries - HTTP error: error sending request",
        *(f"{STATUS} {status} Whatever: " for status in (408, 409, 429, 500, 503)),
        "Generic S3 error: HTTP error: request or response body error",
    ],
)
def test_what_may_pass_is_an_outage(said: str):
    found = raised(GenericError(f"{said}\n\nDebug source:\nstatus code: 404"))
    assert type(found) is StoreUnavailableError
    assert "Debug" not in str(found)


def test_a_missing_bucket_is_no_missing_object():
    said = "Object at location a not found: Error performing GET http://h/b/a in 2ms"
    code = "<Error><Code>NoSuchBucket</Code>"
    assert type(raised(FileNotFoundError(said), "get")) is ObjectMissingError
    for found in (
        raised(FileNotFoundError(f"{said}\n{code}"), "get"),
        raised(FileNotFoundError(said), "put"),
    ):
        assert type(found) is StorageError
        assert "the bucket does not exist: create it" in str(found)


def test_a_panic_of_the_client_is_an_error_that_programs_catch():
    kind = type("PanicException", (BaseException,), {"__module__": "pyo3_runtime"})
    panic = kind("request valid: InvalidUri")
    words = r"the client broke off.*option.*InvalidUri"
    with pytest.raises(StorageError, match=words), our_errors("put", "a", "s3://b"):
        raise panic


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1)])
def test_what_ends_a_program_passes(error):
    with pytest.raises(type(error)), our_errors("put", "a", "s3://b"):
        raise error
