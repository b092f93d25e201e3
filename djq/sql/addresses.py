"""A database's URL → what opens connections to it."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from djq.errors import ConfigError
from djq.sql import tls

#: Strict about values, and portable: double quotes are text, as MySQL reads them. Aggregation is
#: checked by djq, which knows which attributes a key determines; servers differ in what they see.
#: A 0 is a 0, also where the server counts; differences may be negative.
SQL_MODE = (
    "STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,"
    "NO_AUTO_VALUE_ON_ZERO,NO_UNSIGNED_SUBTRACTION"
)
#: Text that comes from no column is compared as columns are. MariaDB reads the first, MySQL the
#: other one.
COLLATION = "/*M! utf8mb4_nopad_bin */ /*!80017 utf8mb4_0900_bin */"

#: How many tables ahead a server looks for the best order of a join. Each more takes longer by
#: several times: MySQL, left to itself, thought for minutes about some semijoins of 15 tables.
SEARCH_DEPTH = 7
#: MariaDB 10.11 loses rows where it splits a grouped subquery that is matched with another one:
#: tests/integration/test_explain.py has such a query. MySQL takes this for a comment.
SWITCHES = "/*M! , optimizer_switch='split_materialized=off' */"

#: SQLAlchemy's names of the drivers of MySQL and MariaDB.
PYMYSQL, MYSQLCLIENT = "pymysql", "mysqldb"


def create_engine(url: sa.URL, timeout_s: float, use_tls: bool | None) -> sa.Engine:
    """Return what opens connections to a database.

    Raises
    ------
    ConfigError
        The URL names a driver that djq does not know, or one that is not installed.
    """
    if is_sqlite(url):
        options = {"isolation_level": None, "timeout": timeout_s, "check_same_thread": False}
        return sa.create_engine(url, poolclass=NullPool, connect_args=options)
    url, trust = tls.split(url)
    driver = _driver(url)
    url = url.set(drivername=f"mysql+{driver}").update_query_dict({"charset": "utf8mb4"})
    seconds = max(int(timeout_s), 1)
    settings = (
        f"SET sql_mode='{SQL_MODE}', time_zone='+00:00', group_concat_max_len=1048576, "
        f"innodb_lock_wait_timeout={seconds}, lock_wait_timeout={seconds}, "
        f"optimizer_search_depth={SEARCH_DEPTH}{SWITCHES}"
    )
    arguments: dict[str, Any] = {"connect_timeout": seconds, "init_command": settings}
    if driver == MYSQLCLIENT:
        # So that the server does not take bytes for text, as PyMySQL tells it, too.
        arguments["binary_prefix"] = True
        arguments["multi_statements"] = False  # as PyMySQL: a text is one statement
        if url.host == "localhost":
            # The C library takes this very word for a socket file, whatever the port.
            url = url.set(host="LOCALHOST")
    try:
        engine = sa.create_engine(
            url, poolclass=NullPool, paramstyle="format", connect_args=arguments
        )
    except ModuleNotFoundError as error:
        message = (
            f"the database's URL asks for mysqlclient ({url.get_backend_name()}+{driver}://), "
            "which is not installed: pip install mysqlclient (it needs libmariadb-dev or "
            "libmysqlclient-dev, pkg-config and a C compiler), or leave out +mysqldb"
        )
        raise ConfigError(message) from error
    tls.encrypt(engine, trust, wanted=use_tls)
    return engine


def _driver(url: sa.URL) -> str:
    """Return which driver a URL of a server asks for."""
    backend, _, driver = url.drivername.partition("+")
    if driver in {"", PYMYSQL}:
        return PYMYSQL
    if driver == MYSQLCLIENT:
        return MYSQLCLIENT
    message = (
        f'the database\'s URL asks for the driver "{driver}", which djq does not know: write '
        f"{backend}:// for PyMySQL, or {backend}+{MYSQLCLIENT}:// for mysqlclient"
    )
    raise ConfigError(message)


def shown(url: sa.URL) -> str:
    """Return an address as people write it: without password and the driver's options."""
    host = url.host if url.host != "LOCALHOST" else "localhost"
    driver = url.set(drivername=url.get_backend_name(), host=host)
    plain = driver.difference_update_query(["charset", *tls.OPTIONS])
    return plain.render_as_string(hide_password=True)


def is_sqlite(url: sa.URL) -> bool:
    """Tell whether a URL names an embedded database."""
    return url.get_backend_name() == "sqlite"
