"""The SQL of queries, as people would read it in a log: kept in `golden/*.sql`.

After a change that is meant, `DJQ_TEST_WRITE_GOLDEN=1 pytest tests/unit/sql/test_golden_sql.py`
writes the files anew; read the difference before it is committed.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
from sqlalchemy.dialects.mysql.pymysql import MySQLDialect_pymysql
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

import djq as dj
from djq.algebra.nodes import Relation
from djq.definition.spec import Tier, build
from djq.settings import Settings
from djq.sql.dialects import Dialect
from djq.sql.statements import Statements
from djq.tables.query import Query

WRITE = "DJQ_TEST_WRITE_GOLDEN"
FOLDER = Path(__file__).parent / "golden"
#: Nothing is asked of it.
CONNECTION = SimpleNamespace(settings=Settings())
STATEMENTS = {
    "mysql": Statements(Dialect("mysql"), MySQLDialect_pymysql()),
    "sqlite": Statements(Dialect("sqlite"), SQLiteDialect_pysqlite()),
}
DEFINITIONS = {
    "User": """
        user : varchar(20)
        ---
        name : varchar(80)
        """,
    "Subject": """
        subject : int32
        ---
        species = null : varchar(20)
        born : date
        """,
    "Session": """
        -> Subject
        session : int32
        ---
        -> [nullable] User
        gain : float64
        """,
    "Trial": """
        -> Session
        trial : int32
        ---
        outcome : enum('hit', 'miss')
        latency = null : float64
        """,
    "Filter": """
        filter : int32
        ---
        cutoff : decimal(6,2)
        """,
}

#: What begins a line.
CLAUSES = (
    "FROM|WHERE|GROUP BY|HAVING|ORDER BY|LIMIT|UNION|UNION ALL"
    "|(?<!OUTER )(?<!INNER )(?:INNER )?JOIN|LEFT OUTER JOIN"
)
#: Group → query → how many SELECTs it needs.
GROUPS = {
    "chains": {
        "Session": 1,
        "Session & {'subject': 1}": 1,
        "Session & {'subject': 1, 'session': 2}": 1,
        "Session & [{'subject': 1, 'session': 2}, {'subject': 3, 'session': 4}]": 1,
        "Session & [{'subject': 1, 'session': 2}, {'subject': 1, 'session': 4}]": 1,
        "(Session & 'gain > 1' & {'user': None}) - 'session in (1, 2)'": 1,
        "(Session & 'gain > 1').proj('gain') & 'gain < 5'": 1,
        "(Session.proj(g='gain * 2') & 'g > 1').proj(h='g + 1') & 'h < 5'": 1,
        "(Session & 'gain > 1') * (Subject & 'born > \"2020-01-01\"')": 1,
        "((Session * Subject).proj('gain', 'species') & 'gain > 1').proj(s='species')": 1,
        "Subject * Session * (Trial & {'outcome': 'hit'})": 1,
        "Subject * (Session * Trial)": 1,
        "(Trial * Filter).proj(slow='latency > cutoff') & 'slow'": 1,
        "Session.proj(other='session') * Session.proj()": 1,
    },
    "matches": {
        "Subject & Session": 2,
        "Subject & (Session & 'gain > 1')": 2,
        "Subject & (Session * Trial & {'outcome': 'hit'})": 2,
        "Session - Trial": 1,
        "(Session & 'gain > 1') - Trial": 1,
        "Session - (Trial & {'outcome': 'hit'})": 2,
        "Session & [Trial, {'subject': 1}]": 2,
        "Session & dj.Not(dj.AndList([Trial, 'gain > 1']))": 2,
        "Subject & (Session & (Trial & {'outcome': 'hit'}))": 3,
        "Subject & Filter": 2,
    },
    "left_joins": {
        "Session.join(User, left=True)": 1,
        "Session.extend(User) & 'name is null'": 1,
        "Session.extend(User & {'name': 'Ann'})": 2,
        "Session.extend(User.proj(initial=\"coalesce(name, '?')\"))": 1,
        "Trial * Session.extend(User)": 1,
    },
    "aggregations": {
        "Subject.aggr(Session, n='count(*)')": 1,
        "Subject.aggr(Session, ..., n='count(*)', exclude_nonmatching=True)": 1,
        "Subject.aggr(Session & 'gain > 1', n='count(*)')": 2,
        "Subject.aggr(Session, n='count(*)') & 'n > 3'": 1,
        "Subject.aggr(Session, n='count(*)') & 'n > 3' & {'subject': 1}": 1,
        "Subject.aggr(Session, 'species', n='count(*)') & \"n > 3 and species = 'rat'\"": 1,
        "Session * Subject.aggr(Session, n='count(*)')": 2,
        "Session.aggr(Trial, n='count(*)', mean='avg(latency)').proj(m='mean * 2')": 1,
    },
    "universal": {
        "dj.U('species') & Subject": 1,
        "dj.U('subject') & Session": 1,
        "dj.U('species') & (Subject & 'born > \"2020-01-01\"')": 1,
        "(dj.U('species') & Subject) & {'species': 'rat'}": 1,
        "dj.U('species').aggr(Subject, n='count(*)')": 1,
        "dj.U('species').aggr(Subject, n='count(*)') & 'n > 3'": 1,
        "dj.U().aggr(Subject, n='count(*)', youngest='max(born)')": 1,
        "dj.U('gain') * Session": 1,
        "Subject & dj.U('species')": 1,
    },
    "unions": {
        "Subject.proj() + (dj.U('subject') & Session)": 3,
        "(Subject & 'subject < 3').proj() + (Subject & {'species': 'rat'}).proj()": 3,
        "Session.proj('gain') + Session.proj('user')": 3,
        "(Subject.proj() + (dj.U('subject') & Session)) & 'subject > 2'": 3,
    },
    "tops": {
        "Session & dj.Top(3)": 1,
        "Session & dj.Top(3, 'gain DESC')": 1,
        "Session & dj.Top(3, 'gain DESC') & dj.Top(2, None, offset=1)": 1,
        "(Session & 'gain > 1' & dj.Top(3)).proj('gain')": 1,
        "(Session & dj.Top(3)) & 'gain > 1'": 2,
        "Trial * (Session & dj.Top(3, 'gain'))": 2,
        "Subject.aggr(Session, n='count(*)') & dj.Top(3, 'n DESC')": 1,
    },
}


def tables():
    """Return queries of all rows, by the names of their tables; no database is asked."""
    specs, found = {}, {"dj": dj}
    for name, text in DEFINITIONS.items():
        specs[name] = build(
            text, schema="lab", class_name=name, tier=Tier.MANUAL, resolve=specs.__getitem__
        )
        found[name] = Query(Relation(specs[name].name, specs[name].heading), CONNECTION)
    return found


def sql(text, backend):
    """Return a query's statement, a clause on each line."""
    query = eval(text, tables())  # of the cases above
    prepared, _ = STATEMENTS[backend].ask("select", query.node)
    words = re.sub(r"\s+", " ", prepared.text).strip()
    words = re.sub(rf" (?=({CLAUSES}) )", "\n", words)
    lines, depth = [], 0
    for line in re.sub(r"(\(|UNION ALL|UNION) ?SELECT", r"\1\nSELECT", words).splitlines():
        is_join = re.match(r"(INNER |LEFT OUTER )?JOIN ", line) is not None
        lines.append("  " * (depth + is_join) + line)
        depth += line.count("(") - line.count(")")
    return "\n".join(lines)


@pytest.mark.parametrize("group", GROUPS)
def test_queries_become_the_sql_of_the_golden_files(group):
    found = [f"-- {group}: what queries become, written by tests/unit/sql/test_golden_sql.py\n"]
    for text in GROUPS[group]:
        statements = [f"-- {b}\n{sql(text, b)};\n" for b in STATEMENTS]
        found.append(f"-- {text}\n\n" + "\n".join(statements))
    path = FOLDER / f"{group}.sql"
    text = "\n".join(found)
    if os.environ.get(WRITE):
        path.write_text(text, encoding="utf-8")
    assert path.read_text(encoding="utf-8") == text, f"{WRITE}=1 writes {path.name} anew"


@pytest.mark.parametrize(
    ("text", "n_selects"), [item for group in GROUPS.values() for item in group.items()]
)
@pytest.mark.parametrize("backend", STATEMENTS)
def test_no_query_has_a_needless_subquery(text, n_selects, backend):
    # SQLite has a SELECT for a list of keys, too.
    assert len(re.findall(r"SELECT (?!column1)", sql(text, backend))) == n_selects
