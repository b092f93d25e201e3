"""`dj.config`: what this process sets over the environment and the file, in either spelling."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

from djq.datajoint import FIELDS, FIXED, GROUPS, PARTS, WITHOUT, compose, split_url, stores
from djq.errors import ConfigError
from djq.hints import suggest
from djq.settings import Settings, StoreSettings, load

if TYPE_CHECKING:
    from collections.abc import Generator

logger = logging.getLogger("djq")

#: What is read when a connection is opened; the rest counts at once.
_OPENING = frozenset({"database_url", "database_tls", "database_timeout_s", "state_dir", *PARTS})
_SECRET = frozenset({"database_url", "redis_url", "broker_url", "database.password"})


class UnknownSettingError(ConfigError, AttributeError):
    """No setting has this name."""


class Configuration:
    """All settings of this process, to read and to change.

    Each has djq's name, as in `djq.toml`, and some have DataJoint's, too: `config["database_url"]`,
    `config["database.host"]`, `config.database.host`, `config["stores"]`, `config.safemode`.

    What is set here wins over the environment and `djq.toml`, in this process only. Settings of the
    database count for connections that are opened afterwards, all others at once; connections that
    were opened from a `Settings` value keep that.
    """

    def __init__(self) -> None:
        object.__setattr__(self, "_lock", threading.RLock())
        object.__setattr__(self, "_set", {})
        object.__setattr__(self, "_live", {})
        object.__setattr__(self, "_is_connected", lambda: False)

    _lock: threading.RLock
    #: djq's names, and parts of the address → what was set here.
    _set: dict[str, Any]
    #: djq's names → the validated value.
    _live: dict[str, Any]
    _is_connected: Callable[[], bool]

    def __repr__(self) -> str:
        """Return the settings, one per line; passwords and addresses with passwords are masked."""
        settings = self.settings()
        lines = (f"{name} = {getattr(settings, name)!r}" for name in type(settings).model_fields)
        return "\n".join(
            f"{line}  # set here" if line.split(" = ")[0] in self._live else line for line in lines
        )

    # --- as a value ----------------------------------------------------------------------------

    def settings(self, **parts: Any) -> Settings:  # noqa: ANN401 - each setting has its own type
        """Return all settings: those set here over the environment and the file.

        `parts` come on top of both: djq's names, or `host`, `port`, `user` and `password`.
        """
        with self._lock:
            return _build({**self._set, **{k: v for k, v in parts.items() if v is not None}})

    def live(self, settings: Settings) -> Settings:
        """Return the settings of an open connection, with what was set here since."""
        if not self._live:
            return settings
        changed = {n: v for n, v in self._live.items() if n not in _OPENING}
        return settings.model_copy(update=changed) if changed else settings

    def watch(self, is_connected: Callable[[], bool]) -> None:
        """Ask `is_connected` when a setting of the database changes, to say that it is too late."""
        object.__setattr__(self, "_is_connected", is_connected)

    # --- one setting ---------------------------------------------------------------------------

    def __getitem__(self, name: str) -> Any:  # noqa: ANN401 - each setting has its own type
        """Return a setting, by djq's name or DataJoint's."""
        if name in FIXED:
            return FIXED[name][0]
        settings = self.settings()
        if name in PARTS:
            return _part(settings, PARTS[name])
        if name == "stores":
            return _Stores(self)
        if name.startswith("stores.") and name not in FIELDS:
            return _Stores(self)[name.removeprefix("stores.")]
        return getattr(settings, self._field(name))

    def __setitem__(self, name: str, value: Any) -> None:  # noqa: ANN401 - its own type
        """Change a setting in this process; a wrong value is refused and changes nothing."""
        if name in FIXED:
            _check_fixed(name, value)
            return
        if name.startswith("stores.") and name not in FIELDS:
            _Stores(self)[name.removeprefix("stores.")] = value
            return
        field = name if name in PARTS else self._field(name)
        given = stores(value) if field == "stores" else {field: value}
        self._change({**self._set, **given}, set(given))

    def __delitem__(self, name: str) -> None:
        """Take back what was set here: the environment and the file count again."""
        field = name if name in PARTS else self._field(name)
        self._change({n: v for n, v in self._set.items() if n != field}, {field})

    def __contains__(self, name: object) -> bool:
        """Tell whether there is a setting of this name."""
        return isinstance(name, str) and name in _names()

    def get(self, name: str, default: Any = None) -> Any:  # noqa: ANN401 - its own type
        """Return a setting, or `default` where there is none of this name."""
        try:
            return self[name]
        except UnknownSettingError:
            return default

    def __iter__(self) -> Iterator[str]:
        """Iterate over djq's names of the settings."""
        return iter(Settings.model_fields)

    def keys(self) -> list[str]:
        """Return djq's names of the settings: `dict(dj.config)` has all of them."""
        return list(self)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - each setting has its own type
        """Return a setting, or a group of DataJoint's: `config.database.host`."""
        if name.startswith("__"):
            raise AttributeError(name)
        return _Group(self, name) if name in GROUPS and name != "stores" else self[name]

    def __setattr__(self, name: str, value: Any) -> None:  # noqa: ANN401 - its own type
        """Change a setting in this process."""
        if name in GROUPS and name != "stores":
            message = f"config.{name} is a group: set one of it, config.{name}.… = …"
            raise ConfigError(message)
        self[name] = value

    def __dir__(self) -> list[str]:
        """List djq's names and DataJoint's groups, for completion."""
        own = ["get", "live", "override", "settings", "watch"]
        return sorted({*own, *GROUPS, *Settings.model_fields})

    @contextmanager
    def override(self, **values: Any) -> Generator[Configuration]:  # noqa: ANN401 - its own type
        """Set within the block; a dot is written as two underscores: `database__host="x"`."""
        with self._lock:
            before = self._set, self._live
        try:
            for name, value in values.items():
                self[name.replace("__", ".")] = value
            yield self
        finally:
            with self._lock:
                object.__setattr__(self, "_set", before[0])
                object.__setattr__(self, "_live", before[1])

    # --- inside --------------------------------------------------------------------------------

    def _field(self, name: str) -> str:
        field = FIELDS.get(name, name)
        if field in Settings.model_fields:
            return field
        if name in WITHOUT:
            message = f'djq has no setting "{name}": {WITHOUT[name]}'
        else:
            message = f'unknown setting "{name}". {suggest(name, sorted(_names()))}'
        raise UnknownSettingError(message)

    def _change(self, values: dict[str, Any], names: set[str]) -> None:
        with self._lock:
            if "database_url" in names:  # the whole address replaces its parts
                values = {n: v for n, v in values.items() if n not in PARTS}
            settings = _build(values)
            live = {n: getattr(settings, n) for n in values if n not in PARTS}
            object.__setattr__(self, "_set", values)
            object.__setattr__(self, "_live", live)
        if names & _OPENING and self._is_connected():
            logger.warning(
                "settings_wait for=%s apply_with=%s", ",".join(sorted(names)), "dj.conn(reset=True)"
            )


def _build(values: Mapping[str, Any]) -> Settings:
    """Return the settings with values of djq's names, and the address's parts by either name."""
    own = {n: v for n, v in values.items() if n in Settings.model_fields}
    parts = {PARTS.get(n, n): v for n, v in values.items() if n not in Settings.model_fields}
    if "stores" in own:
        base = {name: its.model_dump() for name, its in load().stores.items()}
        own["stores"] = base | own["stores"]
    if not parts:
        return load(**own)
    url = load(**own).resolved_database_url
    address = compose(url, **{name: _plain(value) for name, value in parts.items()})
    return load(**own | {"database_url": address})


def _plain(value: Any) -> Any:  # noqa: ANN401 - text, number or secret
    return value.get_secret_value() if hasattr(value, "get_secret_value") else value


def _part(settings: Settings, part: str) -> Any:  # noqa: ANN401 - text, number or secret
    url = settings.resolved_database_url
    found = None if url.startswith("sqlite") else split_url(url)[part]
    return SecretStr(found) if part == "password" and found is not None else found


def _names() -> set[str]:
    return {*Settings.model_fields, *PARTS, *FIELDS, *FIXED}


def _check_fixed(name: str, value: object) -> None:
    always, why = FIXED[name]
    if value not in (always, None):
        message = f'"{name}" cannot be {value!r}: {why}. It is always {always!r}'
        raise ConfigError(message)


class _Group:
    """The settings of one of DataJoint's groups, as attributes."""

    def __init__(self, config: Configuration, name: str) -> None:
        object.__setattr__(self, "_config", config)
        object.__setattr__(self, "_name", name)

    _config: Configuration
    _name: str

    def __repr__(self) -> str:
        names = sorted(n for n in _names() if n.startswith(f"{self._name}."))
        return "\n".join(f"{n} = {self._config[n]!r}" for n in names)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - each setting has its own type
        if name.startswith("__"):
            raise AttributeError(name)
        return self._config[f"{self._name}.{name}"]

    def __setattr__(self, name: str, value: Any) -> None:  # noqa: ANN401 - its own type
        self._config[f"{self._name}.{name}"] = value

    def __dir__(self) -> list[str]:
        return [n.partition(".")[2] for n in _names() if n.startswith(f"{self._name}.")]


class _Stores(MutableMapping[str, Any]):
    """The stores: each a `StoreSettings`; set as a URL, or as a mapping in either spelling."""

    def __init__(self, config: Configuration) -> None:
        self._config = config

    def __repr__(self) -> str:
        return repr(dict(self._all()))

    def _all(self) -> Mapping[str, StoreSettings]:
        return self._config.settings().stores

    def __getitem__(self, name: str) -> StoreSettings:
        found = self._all()
        if name not in found:
            message = f'no store "{name}" is set. {suggest(name, sorted(found))}'
            raise UnknownSettingError(message)
        return found[name]

    def __setitem__(self, name: str, words: object) -> None:
        if name == "default" and isinstance(words, str) and words in self._all():
            self._config["default_store"] = words
            return
        given = {n: its.model_dump() for n, its in self._all().items()}
        value = words.model_dump() if isinstance(words, StoreSettings) else words
        self._config["stores"] = {**given, name: value}

    def __delitem__(self, name: str) -> None:
        message = f'a store cannot be taken away: leave "{name}" out of the settings\' source'
        raise ConfigError(message)

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def __contains__(self, name: object) -> bool:
        return name in self._all()


#: The settings of this process.
config: Configuration = Configuration()
