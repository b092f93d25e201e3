"""What wrong settings and uses of stores are answered: read it as documentation.

Each entry is what was set or asked, and the words of its message that say what was wrong, where,
and what to do. None of them shows a secret.
"""

from __future__ import annotations

import pytest

from djq.errors import (
    ConfigError,
    ObjectCorruptedError,
    ObjectMissingError,
    StorageError,
    UsageError,
)
from djq.settings import StoreSettings
from djq.storage.content import Reference
from djq.storage.open import open_store

SECRET = "hunter2"

#: What is set → the words of the message.
SETTINGS = {
    "another machine's folder": (
        {"url": "file://host/a"},
        'store "raw": file://host/a is not a folder of this machine|file:///path (three slashes)',
    ),
    "a bucket without a name": ({"url": "s3:///a"}, "not of the form s3://bucket/prefix"),
    "keys in the address": (
        {"url": f"s3://key:{SECRET}@bucket/a"},
        "not of the form s3://bucket/prefix",
    ),
    "half a pair of keys": (
        {"url": "s3://bucket", "access_key": "key"},
        "set both access_key and secret_key, or neither to use those of the environment",
    ),
    "an option that S3 does not have": (
        {"url": "s3://bucket", "options": {"acess_key_id": SECRET}},
        'store "raw"|acess_key_id',
    ),
    "keys of S3 for Google": (
        {"url": "gs://bucket", "access_key": SECRET, "secret_key": SECRET},
        'access_key is for S3 only; set service_account or service_account_key in "options"',
    ),
    "a key of Google that is none": (
        {"url": "gs://bucket", "options": {"service_account_key": SECRET}},
        'store "raw": ',
    ),
    "a region for Azure": (
        {"url": "az://box", "region": "eu"},
        'region is for S3 only; set account_name and account_key in "options"',
    ),
    "a key of Azure that is none": (
        {"url": "az://box", "options": {"account_name": "lab", "account_key": f"{SECRET}!"}},
        'store "raw": ',
    ),
    "a scheme that nobody knows": (
        {"url": "s4://bucket/a"},
        'store "raw": Protocol not known: s4',
    ),
    "a password in the address": (
        {"url": f"ftp://me:{SECRET}@host/a"},
        'its URL shows a password; set it as password in "options"',
    ),
    "an endpoint for a file system": (
        {"url": "memory://a", "endpoint": "http://x"},
        'endpoint is for S3 only; set what fsspec takes in "options"',
    ),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_a_wrong_setting(name):
    settings, words = SETTINGS[name]

    with pytest.raises(ConfigError) as raised:
        open_store("raw", StoreSettings(**settings))

    for part in words.split("|"):
        assert part in str(raised.value)
    assert SECRET not in str(raised.value)
    assert raised.value.__cause__ is None


def reference(path="hash/ab/abc", hash_="sha256:" + "0" * 64, size=1):
    return Reference("raw", path, hash_, size)


#: What is asked of a folder that has the object `there` → its error, the words of the message.
USES = {
    "an iterator": (
        lambda content: content.put(iter([b"1"])),
        UsageError,
        "an iterator has no content address|give its parts",
    ),
    "an object that is gone": (
        lambda content: content.get(reference()),
        ObjectMissingError,
        'store "raw": no object at hash/ab/abc|it was removed, or never written here',
    ),
    "an object that was changed": (
        lambda content: content.get(reference("there", size=7)),
        ObjectCorruptedError,
        'store "raw": the object at there is damaged: it has 5 of 7 bytes|from a backup',
    ),
    "a hash of later times": (
        lambda content: content.get(reference(hash_="blake9:00")),
        StorageError,
        'the hash of hash/ab/abc is of unknown kind "blake9"; update djq',
    ),
    "a path out of the store": (
        lambda content: content.get(reference("../../etc/passwd")),
        StorageError,
        "'../../etc/passwd' is not a path inside of a store|without \"..\"",
    ),
    "a path that is reserved": (
        lambda content: content.store.put(".djq-incoming/a", b""),
        StorageError,
        "'.djq-incoming/a' is reserved for objects on their way in",
    ),
    "an object inside of another": (
        lambda content: content.store.put("there/too", b""),
        StorageError,
        "'there/too' cannot be stored: a part of it is an object and a folder at once",
    ),
}


@pytest.mark.parametrize("name", USES)
def test_a_wrong_use(name, tmp_path):
    use, kind, words = USES[name]
    content = open_store("raw", StoreSettings(url=str(tmp_path)))
    content.store.put("there", b"12345")

    with pytest.raises(kind) as raised:
        use(content)

    for part in words.split("|"):
        assert part in str(raised.value)
    assert [found.path for found in content.store.list()] == ["there"]
