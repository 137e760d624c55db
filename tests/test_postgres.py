"""A database that is used again is what its template is, whatever the test before did to it."""

import pytest

from tests.postgres import SEQUENCES, SHAPE, TABLES, _connected, copies

pytestmark = pytest.mark.postgres


def looks(server, name):
    """Everything in a database: its shape, what its sequences give next, every row of every table."""
    with _connected(server, name) as connection:
        tables = sorted(table for _, table, _, _ in connection.execute(TABLES))
        rows = {table: sorted(connection.execute(f"SELECT x::text FROM {table} x").fetchall()) for table in tables}
        return connection.execute(SHAPE).fetchone(), sorted(connection.execute(SEQUENCES).fetchall(), key=str), rows


def name_of(url):
    return url.partition("?")[0].rpartition("/")[2]


def use(server, template, *words):
    """Do something to a copy; gives the name it had."""
    with copies(server, template).one() as url:
        name = name_of(url)
        with _connected(server, name) as connection:
            for one in words:
                connection.execute(one)
    return name


@pytest.mark.parametrize(
    "words",
    [
        ["DELETE FROM role_permission", "UPDATE role SET name = name || '!'"],
        ["INSERT INTO team (name, created_at, updated_at, version) VALUES ('New', now(), now(), 1)"],
        ["TRUNCATE app_user CASCADE"],
        ["BEGIN", "INSERT INTO team (name, created_at, updated_at, version) VALUES ('Rolled back', now(), now(), 1)", "ROLLBACK"],
        ["SELECT nextval(pg_get_serial_sequence('team', 'id'))"],
        ["CREATE TEMPORARY TABLE aside AS SELECT * FROM team", "DELETE FROM role_permission"],
    ],
    ids=["changed", "added", "emptied", "rolled back", "counted on", "put aside"],
)
def test_the_next_one_finds_the_template(postgres_server, postgres_cast, words):
    before = looks(postgres_server, postgres_cast)
    use(postgres_server, postgres_cast, *words)
    kept = copies(postgres_server, postgres_cast).kept
    assert kept is not None
    with copies(postgres_server, postgres_cast).one() as url:
        assert looks(postgres_server, name_of(url)) == before


@pytest.mark.parametrize(
    "words",
    [
        "CREATE TABLE more (id int)",
        "ALTER TABLE team ADD more int",
        "ALTER TABLE team ALTER name SET DEFAULT 'Us'",
        "ALTER TABLE team ALTER name DROP NOT NULL",
        "ALTER TABLE team DISABLE TRIGGER ALL",
        "CREATE FUNCTION more() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "DROP INDEX {index}",
    ],
)
def test_one_that_was_built_differently_is_thrown_away(postgres_server, postgres_cast, words):
    with _connected(postgres_server, postgres_cast) as connection:
        index = connection.execute("SELECT indexname FROM pg_indexes WHERE tablename = 'deal' AND indexdef !~ 'UNIQUE'").fetchone()[
            0
        ]
    use(postgres_server, postgres_cast, words.format(index=index))
    assert copies(postgres_server, postgres_cast).kept is None


def test_connections_that_were_left_open_hold_nothing_up(postgres_server, postgres_cast):
    before = looks(postgres_server, postgres_cast)
    with copies(postgres_server, postgres_cast).one() as url:
        left = _connected(postgres_server, name_of(url))
        left.execute("BEGIN")
        left.execute("UPDATE team SET name = name || '?'")
    with copies(postgres_server, postgres_cast).one() as url:
        assert looks(postgres_server, name_of(url)) == before
