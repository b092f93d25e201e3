"""Settings in DataJoint's words: which of djq's each is; `datajoint.json` and `DJ_*` variables."""

from __future__ import annotations

import functools
import json
import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeAlias, TypeGuard
from urllib.parse import quote, unquote, urlsplit, urlunsplit

from djq.errors import ConfigError

logger: logging.Logger = logging.getLogger("djq")

Values: TypeAlias = Mapping[str, Any]

FILE_NAME = "datajoint.json"
#: Parts of `database_url` that have a name of their own.
PARTS = {f"database.{part}": part for part in ("host", "port", "user", "password")}
#: DataJoint's name → djq's.
FIELDS = {
    "database.use_tls": "database_tls",
    "database.create_tables": "create_tables",
    "display.limit": "display_limit",
    "display.width": "display_width",
    "display.show_tuple_count": "display_show_tuple_count",
    "stores.default": "default_store",
    "download_path": "download_path",
}
#: What djq always does: DataJoint's name → that value, and why there is no other.
FIXED: dict[str, tuple[object, str]] = {
    "database.reconnect": (True, "djq reconnects wherever nothing can be lost by it"),
    "database.backend": ("mysql", "the scheme of database_url says it: mysql, mariadb or sqlite"),
    "connection.charset": ("", "djq talks utf8mb4"),
    "connection.init_function": (None, "djq sets its own session variables"),
    "enable_python_native_blobs": (True, "blobs keep Python's types"),
    "fetch_format": ("array", "say as_dict or format in each fetch"),
    "query_cache": (None, "djq keeps no results of queries"),
    "jobs.auto_refresh": (True, "what is due is asked of the database each time"),
    "jobs.keep_completed": (False, "the rows themselves say what was made, when and by whom"),
    "jobs.add_job_metadata": (True, "computed rows always carry their provenance"),
    "jobs.allow_new_pk_fields_in_computed_tables": (False, "a key is what its references bring"),
}
#: DataJoint's name → why djq has nothing like it.
WITHOUT = {
    "database.name": "a schema is named where it is made: dj.Schema(name)",
    "database.database_prefix": "a schema is named in full where it is made: dj.Schema(name)",
    "jobs.stale_timeout": "a worker that died is noticed by its lease: lease_s",
    "jobs.default_priority": "dj.PopulateOptions(priority=…), of a table or of dj.submit",
    "jobs.version_method": "the version of a make is read from its code",
    "loglevel": 'use logging.getLogger("djq").setLevel(…)',
    "display.diagram_direction": "say it where the diagram is made",
    "display.diagram_theme": "say it where the diagram is made",
    "cache": "objects are read from their store",
    "ignore_config_file": f"{FILE_NAME} is read only where there is no djq.toml",
    "provenance.capture": "computed rows always carry their provenance",
    "provenance.source": "computed rows always carry their provenance",
}
GROUPS = frozenset(n.split(".")[0] for n in (*PARTS, *FIELDS, *FIXED, *WITHOUT) if "." in n)
#: Keys of one store in DataJoint's words.
_STORE_KEYS = {"endpoint", "access_key", "secret_key", "region", "options"}
_AZURE_KEYS = {"account_name", "account_key"}
_OTHER_STORE_KEYS = {
    *("protocol", "location", "bucket", "container", "secure", "url", "stage", "subfolding"),
    *_AZURE_KEYS,
}
#: What each kind of store is called there, and the key that it cannot do without.
_PROTOCOLS = {"file": "location", "s3": "bucket", "gcs": "bucket", "azure": "container"}


# --- addresses ----------------------------------------------------------------------------------


def compose(url: str | None, **parts: Any) -> str:  # noqa: ANN401 - text or a number
    """Return the URL of a server, `url` with other parts; a file's URL is replaced by a server's.

    `parts` are `host`, `port`, `user`, `password`; None leaves what the URL says.

    Raises
    ------
    ConfigError
        The port is none.
    """
    given = {name: value for name, value in parts.items() if value is not None}
    if url is None or url.startswith("sqlite"):
        url = "mysql://localhost:3306/"
    split = urlsplit(url)
    known = split_url(url) | given
    host = str(known["host"])
    if host.count(":") == 1 and "host" in given:
        host, known["port"] = host.split(":")
    if not str(known["port"] or 3306).isdecimal() or not 0 < int(known["port"] or 3306) < 2**16:
        message = f"database.port: {known['port']!r} is no port: write a number from 1 to 65535"
        raise ConfigError(message)
    user = quote(str(known["user"]), safe="") if known["user"] is not None else ""
    password = f":{quote(str(known['password']), safe='')}" if known["password"] else ""
    login = f"{user}{password}@" if user or password else ""
    place = f"[{host}]" if ":" in host else host
    port = f":{known['port']}" if known["port"] is not None else ""
    return urlunsplit((split.scheme, f"{login}{place}{port}", split.path or "/", split.query, ""))


def split_url(url: str) -> dict[str, Any]:
    """Return host, port, user and password of a URL; None for what it does not say."""
    parts = urlsplit(url)
    user = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password else None
    return {"host": parts.hostname, "port": parts.port, "user": user, "password": password}


# --- stores -------------------------------------------------------------------------------------


def store(name: str, words: object) -> dict[str, Any]:
    """Return djq's settings of a store, given in its own words or in DataJoint's.

    Raises
    ------
    ConfigError
        Something is missing, unknown, or of a kind that djq does not have.
    """
    if isinstance(words, str | Path):
        return {"url": str(words)}
    given = _named(words)
    if given is None:
        message = f'store "{name}": give its URL, or a mapping with "url" or "protocol"'
        raise ConfigError(message)
    unknown = sorted(given.keys() - _STORE_KEYS - _OTHER_STORE_KEYS)
    if unknown:
        known = ", ".join(sorted(_STORE_KEYS | _OTHER_STORE_KEYS))
        message = f'store "{name}": unknown setting "{unknown[0]}". Known: {known}'
        raise ConfigError(message)
    own = {key: given[key] for key in _STORE_KEYS & given.keys()}
    if "url" in given:
        return own | {"url": str(given["url"])}
    protocol = given.get("protocol")
    if protocol is None:
        message = f'store "{name}": give "url", or "protocol" and "location"'
        raise ConfigError(message)
    if protocol not in _PROTOCOLS:
        message = f'store "{name}": protocol "{protocol}" is not one of {", ".join(_PROTOCOLS)}'
        raise ConfigError(message)
    needed = _PROTOCOLS[protocol]
    if not given.get(needed):
        message = f'store "{name}": protocol "{protocol}" needs "{needed}"'
        raise ConfigError(message)
    return own | _place(protocol, str(given[needed]), given)


def _place(protocol: str, place: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return where the store is, and what else depends on its kind."""
    location = f"{place}/{str(given.get('location', '')).strip('/')}"
    match protocol:
        case "file":
            return {"url": place}
        case "gcs":
            return {"url": f"gs://{location}"}
        case "azure":
            keys = {key: given[key] for key in sorted(_AZURE_KEYS & given.keys())}
            return {"url": f"az://{location}", "options": keys}
        case _:
            endpoint = given.get("endpoint")
            if endpoint is None or "://" in str(endpoint):
                return {"url": f"s3://{location}"}
            scheme = "https" if given.get("secure") else "http"
            return {"url": f"s3://{location}", "endpoint": f"{scheme}://{endpoint}"}


def _named(words: object) -> dict[str, Any] | None:
    """Return a mapping with its names as text; None for what is no mapping."""
    return {str(key): words[key] for key in words} if _is_mapping(words) else None


def _is_mapping(words: object) -> TypeGuard[Mapping[Any, Any]]:
    return isinstance(words, Mapping)


def stores(words: object) -> dict[str, Any]:
    """Return djq's `stores`, and `default_store` where "default" is a name, from a mapping."""
    given = _named(words)
    if given is None:
        message = "stores: give a mapping of names to stores"
        raise ConfigError(message)
    found: dict[str, Any] = {}
    if isinstance(given.get("default"), str) and given["default"] in given:
        found["default_store"] = given.pop("default")
    return found | {"stores": {name: store(name, its) for name, its in given.items()}}


# --- file and environment -----------------------------------------------------------------------


def find_file(start: Path | None = None) -> Path | None:
    """Return the nearest `datajoint.json` in `start` (default: the working directory) or above."""
    folder = (start or Path.cwd()).resolve()
    return next(
        (f / FILE_NAME for f in (folder, *folder.parents) if (f / FILE_NAME).is_file()), None
    )


def read_file(path: Path) -> dict[str, Any]:
    """Return djq's settings from a file of DataJoint's; what djq does not have is left out.

    Raises
    ------
    ConfigError
        It is not JSON, or a store in it is of a kind that djq does not have.
    """
    try:
        words: object = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        message = f"cannot read {path}: {error}"
        raise ConfigError(message) from error
    named = _named(words)
    if named is None:
        message = f"cannot read {path}: it is no mapping of settings"
        raise ConfigError(message)
    found: dict[str, Any] = {}
    ignored: list[str] = []
    for name, value in _flat(named):
        if value is None:
            continue
        if name == "stores":
            found |= stores(value)
        elif name in PARTS:
            found[name] = value
        elif name in FIELDS or name == "safemode":
            found[FIELDS.get(name, name)] = value
        else:
            ignored.append(name)
    _say_once(path, ",".join(ignored) or "none")
    return found


@functools.cache
def _say_once(path: Path, ignored: str) -> None:
    """Log that a file was read; settings are read many times in a process."""
    logger.info("settings_read file=%s ignored=%s", path, ignored)


def _flat(words: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Iterate over settings by their dotted names; stores stay together."""
    for key, value in words.items():
        name = f"{prefix}{key}"
        inner = _named(value) if name in GROUPS and name != "stores" else None
        if inner is not None:
            yield from _flat(inner, f"{name}.")
        else:
            yield name, value


def settings(environ: Mapping[str, str], path: Path | None) -> dict[str, Any]:
    """Return djq's settings from `DJ_HOST`, `DJ_USER`, `DJ_PASS`, `DJ_PORT` and a file.

    The variables win over the file. Without a host there is no database among them.
    """
    found = read_file(path) if path is not None else {}
    for variable, part in (("HOST", "host"), ("PORT", "port"), ("USER", "user")):
        if environ.get(f"DJ_{variable}"):
            found[f"database.{part}"] = environ[f"DJ_{variable}"]
    if environ.get("DJ_PASS"):
        found["database.password"] = environ["DJ_PASS"]
    parts = {part: found.pop(name, None) for name, part in PARTS.items()}
    if parts["host"]:
        found["database_url"] = compose(None, **parts)
    return found
