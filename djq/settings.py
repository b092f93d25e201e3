"""One frozen `Settings`, read once at the edge from `djq.toml` and `DJQ_*`, passed as a value."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    StrictBool,
    StrictInt,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from djq.datajoint import find_file as find_datajoint_file
from djq.datajoint import settings as datajoint_settings
from djq.errors import ConfigError
from djq.hints import did_you_mean, suggest

PREFIX = "DJQ_"
FILE_NAME = "djq.toml"
#: Variables of the test suite, not settings.
IGNORED_PREFIXES = ("DJQ_TEST_",)
#: Their values hold no passwords and may be shown.
_HARMLESS = frozenset(
    {
        *("database_tls", "safemode", "create_tables", "display_limit", "display_width"),
        *("namespace", "heartbeat_s", "lease_s", "chunk_s", "database_timeout_s", "flower_port"),
        *(
            "default_store",
            "store_threads",
            "state_dir",
            "fleet_file",
            "pipeline",
            "functions",
            "display_show_tuple_count",
        ),
    }
)
#: As definitions name stores, in `<blob@raw>`.
_STORE_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
LOCAL_HOSTS = frozenset({"", "localhost", "127.0.0.1", "::1"})
DATABASE_SCHEMES = frozenset({"sqlite", "mysql", "mariadb"})
#: `djq up` writes the address of the server that it embeds into this file in `state_dir`.
REDIS_FILE = "redis.url"
REDIS_SCHEMES = frozenset({"redis", "rediss", "unix"})
BROKER_SCHEMES = frozenset({"amqp", "amqps"})
ENDPOINT_SCHEMES = frozenset({"http", "https"})


def _check_url(url: str, known: frozenset[str], example: str) -> str:
    parts = urlsplit(url)
    scheme = parts.scheme.split("+")[0]
    if scheme not in known:
        message = f'the URL scheme "{scheme}" is not one of {", ".join(sorted(known))}; {example}'
        raise ValueError(message)
    try:
        _ = parts.port
    except ValueError:
        message = f"the port is no number; {example}; write / @ # of a password as %2F %40 %23"
        raise ValueError(message) from None
    return url


def _database_url(url: SecretStr) -> SecretStr:
    text = url.get_secret_value()
    _check_url(text, DATABASE_SCHEMES, "write mysql://user:password@host:3306")
    has_file = bool(urlsplit(text).path.strip("/"))
    if text.startswith("sqlite") and (not has_file or ":memory:" in text or "mode=memory" in text):
        message = "a database in memory ends with its connection; write sqlite:///path/to/a/file"
        raise ValueError(message)
    return url


def _redis_url(url: SecretStr) -> SecretStr:
    _check_url(url.get_secret_value(), REDIS_SCHEMES, "write redis://host:6379/0")
    return url


def _broker_url(url: SecretStr) -> SecretStr:
    _check_url(url.get_secret_value(), BROKER_SCHEMES, "write amqp://user:password@host:5672//")
    return url


def _endpoint(url: str) -> str:
    example = "write https://minio.lab:9000"
    _check_url(url, ENDPOINT_SCHEMES, example)
    if not re.fullmatch(r"[A-Za-z0-9._-]+|[0-9A-Fa-f:.]+", urlsplit(url).hostname or ""):
        message = f"{url!r} names no server; {example}"
        raise ValueError(message)
    return url


def _split(names: object) -> object:
    """Accept `a.b,c` and `a.b c` from the environment beside a list from the file."""
    return tuple(names.replace(",", " ").split()) if isinstance(names, str) else names


def _function_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return names of functions in lower case; nothing else may stand in front of a parenthesis."""
    for name in names:
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,63}", name):
            message = f"{name!r} is not the name of a function; write soundex, bin"
            raise ValueError(message)
    return tuple(name.lower() for name in names)


def _from_json(options: object) -> object:
    """Accept a JSON object from the environment beside one variable for each option."""
    if not isinstance(options, str):
        return options
    try:
        return json.loads(options)
    except ValueError:
        message = 'no JSON object; write {"name": "value"}'
        raise ValueError(message) from None


class StoreSettings(BaseModel):
    """Where one store keeps its objects."""

    model_config: ClassVar[ConfigDict] = ConfigDict(frozen=True, extra="forbid")

    #: `file:///path` or a plain path; `s3://bucket/prefix`, `gs://…`, `az://container/prefix`;
    #: any other that fsspec knows.
    url: str
    #: The server's address, when it is not Amazon's, Google's or Azure's.
    endpoint: Annotated[str, AfterValidator(_endpoint)] | None = None
    #: S3 only, as the two keys.
    region: str | None = None
    access_key: SecretStr | None = None
    secret_key: SecretStr | None = None
    #: What else the store's client takes, credentials of other clouds among them; texts are secret.
    options: Annotated[
        Mapping[str, StrictBool | StrictInt | SecretStr], BeforeValidator(_from_json)
    ] = Field(default_factory=dict[str, bool | int | SecretStr])

    @property
    def plain_options(self) -> dict[str, str | int | bool]:
        """The options with their secrets readable: never log them."""
        return {
            name: value.get_secret_value() if isinstance(value, SecretStr) else value
            for name, value in self.options.items()
        }


class Settings(BaseSettings):
    """All settings of one process; immutable.

    Environment variables (`DJQ_REDIS_URL`, `DJQ_STORES__RAW__URL`, …) win over `djq.toml`, which is
    looked for in the working directory and its parents. Below both are `DJ_HOST` and its kin, and
    where there is no `djq.toml` the nearest `datajoint.json`. Nothing needs to be set: the default
    is embedded, under `./.djq`.
    """

    model_config: ClassVar[SettingsConfigDict] = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        env_ignore_empty=True,
        frozen=True,
        extra="forbid",
    )

    #: `sqlite:///path`, `mysql://user:password@host:3306` or `mariadb://…`;
    #: None: SQLite in `state_dir`.
    database_url: Annotated[SecretStr, AfterValidator(_database_url)] | None = None
    #: `redis://host:6379/0`, `rediss://…` or `unix:///socket?db=0`;
    #: None: the server that `djq up` embeds.
    redis_url: Annotated[SecretStr, AfterValidator(_redis_url)] | None = None
    #: What carries messages: `amqp://user:password@host:5672//` (RabbitMQ); None: the Redis server,
    #: which keeps reservations in any case.
    broker_url: Annotated[SecretStr, AfterValidator(_broker_url)] | None = None
    stores: Mapping[str, StoreSettings] = Field(default_factory=dict)
    #: The store of `<blob@>`, which names none.
    default_store: Annotated[str, Field(min_length=1)] = "default"
    #: How many objects one process puts or gets at once; None: 8, and 4 of a folder.
    store_threads: Annotated[int, Field(ge=1, le=256)] | None = None
    #: Where files are written that are fetched from `<attach>`.
    download_path: Path = Path()
    #: Modules that define the pipeline, for workers and schedulers.
    pipeline: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)] = ()
    #: Queues, workers and limits of the fleet; None: `fleet.toml` beside `djq.toml`, if any.
    fleet_file: Path | None = None
    #: Where embedded files live: database, stores, sockets and logs of the local stack.
    state_dir: Path = Path(".djq")
    #: Separates installations that share one Redis; None: made from what the database says it is.
    namespace: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")] | None = None

    #: A holder renews its heartbeat this often [s].
    heartbeat_s: Annotated[float, Field(gt=0)] = 5.0
    #: A holder that was silent this long is dead [s]: two heartbeats may be lost.
    lease_s: Annotated[float, Field(gt=0)] = 15.0
    #: A chunk should take about this long [s].
    chunk_s: Annotated[float, Field(gt=0)] = 1.0
    #: Bound of one statement's wait for a lock, and of one connection attempt [s].
    database_timeout_s: Annotated[float, Field(gt=0)] = 10.0
    #: Whether the connection is encrypted; None: if the server offers it; True: or it is refused.
    database_tls: bool | None = None
    #: Whether `delete` and `drop` ask on the terminal before they do it.
    safemode: bool = True
    #: Whether a schema creates the tables that are missing; False: it only uses what is there.
    create_tables: bool = True
    #: Rows, and characters per value, of a query that is printed.
    display_limit: Annotated[int, Field(ge=1)] = 12
    display_width: Annotated[int, Field(ge=4)] = 40
    #: Whether it says how many rows there are in all, which may take a second question.
    display_show_tuple_count: bool = True
    #: Functions that conditions in text may call beside those on djq's own list.
    functions: Annotated[
        tuple[str, ...], NoDecode, BeforeValidator(_split), AfterValidator(_function_names)
    ] = ()
    flower_port: Annotated[int, Field(ge=1, le=65535)] = 5555

    @model_validator(mode="after")
    def _heartbeats_fit_the_lease(self) -> Settings:
        if self.heartbeat_s >= self.lease_s:
            message = (
                f"{PREFIX}HEARTBEAT_S is {self.heartbeat_s:g} and {PREFIX}LEASE_S is "
                f"{self.lease_s:g}: a worker would be taken for dead between two heartbeats. "
                "A third of the lease is a good heartbeat"
            )
            raise ValueError(message)
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order of the sources: arguments, environment, file, what is there of DataJoint's."""
        del dotenv_settings, file_secret_settings
        path = find_file()
        theirs = datajoint_settings(os.environ, None if path else find_datajoint_file())
        return (
            init_settings,
            env_settings,
            TomlConfigSettingsSource(settings_cls, path),
            InitSettingsSource(settings_cls, theirs),
        )

    @property
    def names_redis(self) -> bool:
        """Whether there is an address of a Redis: one that is set, or that of `djq up`."""
        return self.redis_url is not None or (self.state_dir / REDIS_FILE).exists()

    @property
    def resolved_database_url(self) -> str:
        """The database's URL, password included: never log it."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.state_dir / 'pipeline.sqlite'}"

    def store(self, name: str) -> StoreSettings:
        """Return the settings of the store `name`.

        A store that is not set is a folder in `state_dir`, as long as the database is on this
        machine, too; with a database elsewhere that would leave rows whose objects only one
        machine has.

        Raises
        ------
        ConfigError
            It is not set and cannot be such a folder, or not by this name: rows name stores, too,
            and whoever writes rows must not choose among the files of this machine.
        """
        if name in self.stores:
            return self.stores[name]
        if not _STORE_NAME.fullmatch(name):
            message = (
                f"{name[:80]!r} is not the name of a store: letters, digits and underscores, "
                "a letter first"
            )
            raise ConfigError(message)
        host = urlsplit(self.resolved_database_url).hostname or ""
        if host not in LOCAL_HOSTS:
            message = (
                f'store "{name}" is not set, and the database is on another machine ({host}): '
                f"objects in a local folder would be missing elsewhere. "
                f"Set {PREFIX}STORES__{name.upper()}__URL=s3://bucket/prefix or a shared folder"
            )
            raise ConfigError(message)
        return StoreSettings(url=str(self.state_dir / "stores" / name))


def find_file(start: Path | None = None) -> Path | None:
    """Return the nearest `djq.toml` in `start` (default: the working directory) or above it."""
    folder = (start or Path.cwd()).resolve()
    return next(
        (f / FILE_NAME for f in (folder, *folder.parents) if (f / FILE_NAME).is_file()), None
    )


def load(**overrides: Any) -> Settings:  # noqa: ANN401 - each setting has its own type
    """Read the settings from `djq.toml` and the environment.

    Raises
    ------
    ConfigError
        A name is unknown or a value is wrong; the message names each and says what would be right.
    """
    _refuse_unknown_variables(os.environ)
    try:
        settings = Settings(**overrides)
    except ValidationError as error:
        raise ConfigError(_explain(error)) from error
    except tomllib.TOMLDecodeError as error:
        message = f"cannot read {find_file()}: {error}"
        raise ConfigError(message) from error
    base = (find_file() or Path.cwd() / FILE_NAME).parent
    paths = {"state_dir": (base / settings.state_dir).resolve()}
    if settings.fleet_file is not None:
        paths["fleet_file"] = (base / settings.fleet_file).resolve()
    return settings.model_copy(update=paths)


def _refuse_unknown_variables(environ: Mapping[str, str]) -> None:
    known = [PREFIX + name.upper() for name in Settings.model_fields]
    for variable in environ:
        if not variable.startswith(PREFIX) or variable.startswith(IGNORED_PREFIXES):
            continue
        if variable.split("__")[0] not in known:
            near = did_you_mean(variable, known, shown="{}").rstrip()
            hint = near or f"Known: {', '.join(known)}."
            message = f"unknown setting {variable} in the environment. {hint}"
            raise ConfigError(message)


def _explain(error: ValidationError) -> str:
    """One line per wrong setting; values that may hold passwords are left out."""
    lines: list[str] = []
    for item in error.errors(include_url=False, include_context=False):
        path = [str(part) for part in item["loc"]]
        name = PREFIX + "__".join(path).upper()
        if item["type"] == "extra_forbidden":
            known = Settings.model_fields if len(path) == 1 else StoreSettings.model_fields
            text = f"there is no such setting. {suggest(path[-1], sorted(known))}"
        else:
            text = item["msg"].removeprefix("Value error, ")
            text += f", not {item['input']!r}" if path and path[0] in _HARMLESS else ""
        lines.append(f"{name}: {text}" if path else text)
    return "wrong settings:\n  " + "\n  ".join(lines)
