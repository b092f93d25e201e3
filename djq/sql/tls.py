"""Whether a connection to a server is encrypted, and whom it trusts."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy import event

from djq.errors import ConfigError
from djq.sql.errors import TLS_FAILED, number_of

if TYPE_CHECKING:
    from collections.abc import Mapping

#: What the URL may say: `?ssl_ca=/path/ca.pem&ssl_cert=…&ssl_key=…&ssl_check_hostname=false`.
FILES = ("ssl_ca", "ssl_cert", "ssl_key")
OPTIONS = (*FILES, "ssl_check_hostname")
_IS_ENCRYPTED = "SHOW SESSION STATUS LIKE 'Ssl_cipher'"

Connect: TypeAlias = Callable[..., Any]


def split(url: sa.URL) -> tuple[sa.URL, dict[str, str]]:
    """Return a URL without the options of encryption, and these."""
    given = {name: str(url.query[name]) for name in OPTIONS if name in url.query}
    return url.difference_update_query(list(given)), given


def context(options: Mapping[str, str]) -> ssl.SSLContext:
    """Return whom to trust: with `ssl_ca` only a server with its certificate, else any."""
    ca = options.get("ssl_ca")
    try:
        if ca is None:
            made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            made.check_hostname = False
            made.verify_mode = ssl.CERT_NONE
        else:
            made = ssl.create_default_context(cafile=ca)
            # Certificates that MySQL makes for itself lack what Python 3.13 asks for.
            made.verify_flags &= ~ssl.VERIFY_X509_STRICT
            made.check_hostname = options.get("ssl_check_hostname", "true").lower() != "false"
        if "ssl_cert" in options:
            made.load_cert_chain(options["ssl_cert"], options.get("ssl_key"))
    except OSError as error:  # ssl.SSLError, too
        files = ", ".join(f"{name}={value}" for name, value in options.items())
        message = f"cannot read the certificates of the database's URL ({files}): {error}"
        raise ConfigError(message) from error
    return made


def encrypt(engine: sa.Engine, options: Mapping[str, str], *, wanted: bool | None) -> None:
    """Let an engine open encrypted connections.

    `wanted` is True: encrypted, or not at all; None: if the server offers it, as MySQL's own
    clients do; False: never. With `ssl_ca`, None means True.
    """
    is_required = wanted is True or "ssl_ca" in options
    is_never = wanted is False and not is_required
    plain, encrypted = _arguments(engine.dialect.driver, {} if is_never else options)

    def connect(
        dialect: sa.Dialect, record: object, arguments: list[Any], settings: dict[str, Any]
    ) -> object:
        del record
        open_: Connect = dialect.connect
        if is_never:
            return open_(*arguments, **settings, **plain)
        try:
            raw = open_(*arguments, **settings, **encrypted)
        except Exception as error:
            if is_required or number_of(error) != TLS_FAILED:
                raise
            return open_(*arguments, **settings, **plain)
        if is_required:
            _refuse_plain(raw, dialect)
        return raw

    event.listen(engine, "do_connect", connect)


def _arguments(driver: str, options: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the driver is told to connect in plain, and encrypted."""
    trusted = context(options)  # the files are read here for both drivers: are they any good?
    if driver != "mysqldb":
        return {"ssl_disabled": True}, {"ssl": trusted}
    if "ssl_ca" not in options:
        mode = "REQUIRED"
    else:
        mode = "VERIFY_IDENTITY" if trusted.check_hostname else "VERIFY_CA"
    files = {n.removeprefix("ssl_"): v for n, v in options.items() if n in FILES}
    return {"ssl_mode": "DISABLED"}, {"ssl_mode": mode, "ssl": files}


def _refuse_plain(raw: Any, dialect: sa.Dialect) -> None:  # noqa: ANN401 - the driver's connection
    """Refuse a connection that a driver left unencrypted without a word: PyMySQL before 1.2."""
    cursor = raw.cursor()
    cursor.execute(_IS_ENCRYPTED)
    row: tuple[str, str] | None = cursor.fetchone()
    if not row or not row[1]:
        raw.close()
        message = "the server does not offer an encrypted connection"
        raise dialect.loaded_dbapi.OperationalError(TLS_FAILED, message)
