"""Encrypted connections, against servers with and without certificates of their own."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

import pytest

import djq as dj
from djq.errors import ConfigError, UnreachableError
from djq.settings import load
from tests.conftest import by_driver, missing
from tests.support import servers
from tests.support.servers import MissingServerError


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    try:
        return servers.make_certificates(tmp_path_factory.mktemp("certificates"))
    except MissingServerError as error:
        pytest.skip(str(error))


@dataclass(frozen=True)
class Address:
    """A server by a driver."""

    url: str
    driver: str


@pytest.fixture(scope="module", params=["pymysql", "mysqldb"])
def driver(request):
    if importlib.util.find_spec({"mysqldb": "MySQLdb"}.get(request.param, request.param)) is None:
        missing("mysqlclient is not installed: make mysqlclient")
    return request.param


@pytest.fixture(scope="module")
def secured_server(certificates):
    try:
        server = servers.mariadb_server_with(
            *(f"--ssl-{name}={certificates[name]}" for name in ("ca", "cert", "key"))
        )
    except MissingServerError as error:
        pytest.skip(str(error))
    yield server
    server.stop()


@pytest.fixture(scope="module")
def secured(secured_server, driver):
    """A server that offers encryption."""
    return Address(by_driver(secured_server.url, driver), driver)


@pytest.fixture(scope="module")
def plain(plain_server, driver):
    """A server that offers none."""
    return Address(by_driver(plain_server.url, driver), driver)


@pytest.fixture(scope="module")
def plain_server():
    try:
        server = servers.mariadb_server_with("--skip-ssl")
    except MissingServerError as error:
        pytest.skip(str(error))
    yield server
    server.stop()


#: mysqlclient does not say whether a server offers no encryption or the wrong certificate.
UNTRUSTED = {
    "pymysql": r"could not be trusted.*Check that ssl_ca",
    "mysqldb": r"no encrypted connection.*that ssl_ca .* is the authority",
}


def cipher(url, use_tls=None):
    """Return how a new connection is encrypted, as the server says; "" if it is not."""
    with dj.Connection(url, use_tls=use_tls) as connection:
        ((_, name),) = connection.query("SHOW SESSION STATUS LIKE 'Ssl_cipher'").fetchall()
        return name


@pytest.mark.parametrize("use_tls", [None, True])
def test_a_connection_is_encrypted_if_the_server_offers_it(secured, use_tls):
    assert cipher(secured.url, use_tls)


def test_every_connection_of_a_transaction_or_a_stream_is_encrypted(secured):
    asked = "SHOW SESSION STATUS LIKE 'Ssl_cipher'"
    with dj.Connection(secured.url) as connection, connection.transaction:
        assert connection.query(asked).fetchone()[1]


def test_encryption_may_be_left_out(secured):
    assert cipher(secured.url, use_tls=False) == ""


def test_a_server_without_encryption_is_used_where_none_was_asked_for(plain):
    assert cipher(plain.url) == ""
    assert cipher(plain.url, use_tls=False) == ""


def test_encryption_that_was_asked_for_is_never_dropped(plain, certificates):
    for use_tls in (True, {"ca": str(certificates["ca"])}):
        with pytest.raises(
            UnreachableError, match="no encrypted connection to the database at mysql://root@127"
        ):
            cipher(plain.url, use_tls)
    with pytest.raises(UnreachableError):
        cipher(f"{plain.url}?ssl_ca={certificates['ca']}")


def test_a_server_is_verified_by_its_authority(secured, certificates):
    assert cipher(secured.url, {"ca": str(certificates["ca"])})
    assert cipher(f"{secured.url}?ssl_ca={certificates['ca']}")


def test_a_server_of_another_authority_is_not_trusted(secured, certificates):
    with pytest.raises(UnreachableError, match=UNTRUSTED[secured.driver]):
        cipher(secured.url, {"ca": str(certificates["other_ca"])})


def test_a_server_of_another_name_is_not_trusted_unless_names_are_left_out(secured, certificates):
    url = secured.url.replace("127.0.0.1", "localhost")
    ca = str(certificates["ca"])

    with pytest.raises(UnreachableError, match=UNTRUSTED[secured.driver]):
        cipher(url, {"ca": ca})
    if secured.driver == "pymysql":  # MariaDB's C library would always look at the name
        assert cipher(url, {"ca": ca, "check_hostname": False})


def test_a_certificate_that_is_not_there_is_a_wrong_setting(secured, tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read the certificates.*no\.pem"):
        cipher(secured.url, {"ca": str(tmp_path / "no.pem")})


def test_encryption_is_a_setting(secured, tmp_path):
    for wanted in (True, False):
        settings = load(database_url=secured.url, database_tls=wanted, state_dir=tmp_path)
        with dj.Connection(settings) as connection:
            row = connection.query("SHOW SESSION STATUS LIKE 'Ssl_cipher'").fetchone()
            assert bool(row[1]) is wanted


def test_the_options_of_encryption_are_not_shown(secured, certificates):
    connection = dj.Connection(secured.url, use_tls={"ca": str(certificates["ca"])})
    shown = secured.url.replace(f"+{secured.driver}", "")
    assert repr(connection) == f"Connection('{shown}')"
