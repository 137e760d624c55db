"""Each verb answers people in sentences, machines in JSON, and scripts with an exit code that means something."""

import csv
import io
import json
import signal
import subprocess
import sys

import pytest
from sqlalchemy import text

from crm_core import db, records, schema
from crm_core.cli import main
from crm_core.db import read_session, write_session
from crm_core.errors import Unavailable
from crm_core.models import User
from crm_core.services.admin.imports import driver, runs
from crm_core.settings import ROOT, settings


@pytest.fixture
def run(capsys, monkeypatch):
    """Run a verb in this process: (exit code, standard output, standard error)."""
    handler = signal.getsignal(signal.SIGINT)

    def call(*arguments):
        capsys.readouterr()
        monkeypatch.setattr(sys, "argv", ["crm_core", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        found = capsys.readouterr()
        return ended.value.code or 0, found.out, found.err

    yield call
    signal.signal(signal.SIGINT, handler)


def test_every_verb_explains_itself(run):
    for verb in (
        "migrate",
        "demo",
        "import",
        "export",
        "check",
        "backup",
        "restore",
        "move",
        "halt",
        "resume",
        "serve",
        "worker",
        "user",
        "user add",
        "user disable",
        "user reset",
    ):
        code, out, _ = run(*verb.split(), "--help")
        assert code == 0
        assert "Usage" in out
    assert "Exit codes" in run("--help")[1]


def test_help_needs_neither_the_database_nor_the_job_engine():
    code = "import sys, runpy; sys.argv = ['crm_core', '--help']\ntry: runpy.run_module('crm_core')\nexcept SystemExit: pass\nprint([m for m in ('sqlalchemy', 'dbos', 'pandas', 'streamlit', 'rich.progress') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("[]")


def test_a_wrong_option_ends_with_2(run):
    assert run("migrate", "--nonsense")[0] == 2
    assert run("demo", "--scale", "gigantic")[0] == 2


def test_migrate_brings_up_to_date_once(run, any_database):
    before = schema.revisions()[-2]
    schema.downgrade(before)
    code, out, _ = run("migrate", "--json")
    assert (code, json.loads(out)["before"], json.loads(out)["after"]) == (0, before, schema.newest())
    assert "Up to date" in run("migrate")[1]


def test_verbs_that_need_the_newest_shape_say_so_and_end_with_3(run, database):
    schema.downgrade(schema.revisions()[-2])
    for verb in (["check"], ["backup"], ["export", "deal", "x.csv"], ["user", "disable", "a@b.example"]):
        code, _, err = run(*verb)
        assert (code, "not up to date" in err) == (3, True)


def test_a_newer_database_ends_with_3_in_words_and_in_json(run, database):
    with write_session() as session:
        session.execute(text("update alembic_version set version_num = '9999'"))
    code, _, err = run("migrate")
    assert (code, "newer version" in err) == (3, True)
    code, out, _ = run("migrate", "--json")
    assert (code, json.loads(out)["ok"], json.loads(out)["error"]) == (3, False, "unavailable")


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("postgresql://u:secret@127.0.0.1:1/x", "does not answer"),
        ("nonsense://somewhere", "should look like"),
        ("sqlite:///{folder}/broken.db", "can't be opened"),
    ],
)
def test_a_database_that_can_not_be_reached_is_named_as_the_reason(run, monkeypatch, tmp_path, url, words):
    (tmp_path / "broken.db").write_text("no database at all, and longer than the head of one would be " * 9)
    monkeypatch.setenv("RAPPORT_DATABASE_URL", url.format(folder=tmp_path))
    settings.cache_clear()
    for verb in (["check"], ["migrate"], ["backup"], ["export", "deal", "-"], ["worker"]):
        code, _, err = run(*verb)
        assert (code, words in err, "Traceback" in err, "secret" in err) == (3, True, False, False), (verb, err)


def test_a_restore_that_nobody_agrees_to_changes_nothing(run, cast, tmp_path, monkeypatch):
    run("backup", tmp_path / "b.db")
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    code, _, err = run("restore", tmp_path / "b.db")
    assert (code, "Nothing was changed" in err) == (4, True)


def test_an_import_that_was_cut_off_goes_on_or_begins_anew_but_never_doubles_unasked(run, any_cast, tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_text("Name\n" + "".join(f"Firm {n}\n" for n in range(7)), "utf-8")
    monkeypatch.setattr(runs, "BATCH_ROWS", 3)
    command = ("import", "account", tmp_path / "a.csv", "--mode", "create", "--json")
    resume = ("import", "account", tmp_path / "a.csv", "--resume", "--json")
    assert run(*resume)[0] == 4
    work = driver.run_batches
    monkeypatch.setattr(driver, "run_batches", lambda run_id, _progress: [_one_batch(run_id), sys.exit(9)])
    assert run(*command)[0] == 9
    monkeypatch.setattr(driver, "run_batches", work)
    code, out, _ = run(*command)
    said = json.loads(out)["message"]
    assert (code, "after 3 of 7 rows" in said, "may still be running" in said) == (4, True, True)
    for choice in (
        ("--mode", "create"),
        ("--map", "Name="),
        ("--match", "name"),
        ("--unmapped", "field"),
        ("--dry-run",),
        ("--anew",),
    ):
        code, out, _ = run(*resume, *choice)
        assert (code, f"leave out {choice[0]}," in json.loads(out)["message"]) == (4, True), choice
    assert json.loads(run(*resume)[1])["created"] == 7
    with read_session() as session:
        assert session.execute(text("select count(*), count(distinct name) from account")).one() == (7, 7)
    assert run(*command)[0] == 5  # a finished one does not stand in the way; its rows are there already


def test_what_was_finished_anew_or_kept_no_row_stands_in_no_import_s_way(run, cast, tmp_path, monkeypatch):
    (tmp_path / "a.csv").write_text("Name\n" + "".join(f"Firm {n}\n" for n in range(7)), "utf-8")
    monkeypatch.setattr(runs, "BATCH_ROWS", 3)
    command = ("import", "account", tmp_path / "a.csv", "--json")
    _fail_after(monkeypatch, 0)
    assert run(*command)[0] == 3
    _fail_after(monkeypatch, 1)
    assert run(*command)[0] == 3, "the first one kept nothing, so this one begins"
    _fail_after(monkeypatch, 0)
    assert run(*command, "--anew")[0] == 3
    code, out, _ = run(*command)
    assert (code, "was cut off after 3 of 7 rows" in json.loads(out)["message"]) == (4, True), "the half one is still there"
    _fail_after(monkeypatch, 9)
    assert json.loads(run(*command, "--anew")[1])["rows"] == 7
    assert json.loads(run(*command)[1])["rows"] == 7
    code, out, _ = run(*command, "--resume")
    assert (code, "nothing to go on with" in json.loads(out)["message"]) == (4, True)
    with read_session() as session:
        assert session.execute(text("select count(*), count(distinct name) from account")).one() == (7, 7)


def _fail_after(monkeypatch, batches, work=runs.run_batch):
    left = iter(range(batches))

    def step(*given):
        if next(left, None) is None:
            raise Unavailable("The disk is full.")
        return work(*given)

    monkeypatch.setattr(runs, "run_batch", step)


def _one_batch(run_id):
    with write_session() as session:
        runs.run_batch(session, run_id, {})


def test_check_ends_with_6_when_something_is_wrong_and_repairs_what_it_can(run, cast):
    assert run("check")[0] == 0
    with write_session() as session:
        records.create(session, cast["root"], "account", {"name": "One"})
        session.flush()
        session.execute(text("delete from search_document"))
    code, out, _ = run("check", "--json")
    assert (code, json.loads(out)["wrong"]) == (6, ["Search"])
    assert run("check", "--repair")[0] == 6
    assert run("check")[0] == 0


def test_a_file_is_imported_and_every_row_accounted_for(run, any_cast, tmp_path):
    (tmp_path / "a.csv").write_text("Name;City;Employees\nNorthwind;Oslo;7\n;Rome;5\n", "utf-8")
    code, out, _ = run("import", "account", tmp_path / "a.csv", "--dry-run", "--json")
    assert (code, json.loads(out)["created"], json.loads(out)["rejected"]) == (5, 1, 1)
    with read_session() as session:
        assert session.execute(text("select count(*) from account")).scalar_one() == 0
    code, out, _ = run("import", "account", tmp_path / "a.csv", "--outcome", tmp_path / "o.csv", "--json")
    assert (code, json.loads(out)["rows"], json.loads(out)["created"]) == (5, 2, 1)
    assert "Rome" in (tmp_path / "o.csv").read_text("utf-8-sig")
    assert run("import", "account", tmp_path / "a.csv", "--map", "City")[0] == 4
    assert run("import", "account", tmp_path / "none.csv")[0] == 4
    assert run("import", "account", tmp_path / "a.csv", "--options", tmp_path / "a.csv")[0] == 4


def test_a_person_is_added_locked_out_and_let_in_again_by_link(run, any_cast):
    with write_session() as session:  # an administrator who can sign in must remain
        session.execute(text("update app_user set password_hash = 'x' where id = :root"), {"root": any_cast["root"].user_id})
    code, out, _ = run(
        "user", "add", "new@example.com", "--name", "New Person", "--role", "sales_rep", "--manager", "bob@example.com", "--json"
    )
    made = json.loads(out)
    assert (code, "/invite/" in made["link"]) == (0, True)
    with read_session() as session:
        user = session.get(User, made["user_id"])
        assert (user.name, user.manager_id) == ("New Person", any_cast["bob"].user_id)
        assert session.execute(text("select via from event_log where type = 'user.invited'")).scalars().all() == ["cli"]
    assert run("user", "disable", "NEW@example.com")[0] == 0
    with write_session() as session:
        session.execute(text("update app_user set password_hash = null"))
    assert run("user", "disable", "sam@example.com")[0] == 0  # nobody could manage people before either
    code, _, err = run("user", "reset", "new@example.com")
    assert (code, "deactivated" in err) == (4, True)
    assert run("user", "add", "new@example.com", "--name", "Again", "--role", "sales_rep")[0] == 4
    assert run("user", "add", "other@example.com", "--name", "Other", "--role", "king")[0] == 4
    assert run("user", "reset", "nobody@example.com")[0] == 4


def test_an_export_is_complete_and_harmless_in_a_spreadsheet(run, any_cast, tmp_path):
    with write_session() as session:
        for name in ("Ångström; “Co”", '=HYPERLINK("http://x")', "-1+1", "new\nline"):
            given = {"name": name, "revenue_minor": 12345, "description": "two\nlines"}
            records.create(session, any_cast["alice"], "account", given)
    code, out, _ = run("export", "account", tmp_path / "a.csv", "--columns", "name,revenue_minor,owner_id,description", "--json")
    assert (code, json.loads(out)["rows"]) == (0, 4)
    with (tmp_path / "a.csv").open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    assert rows[0] == ["id", "Name", "Annual revenue", "Owner", "Description"]
    assert [row[1] for row in rows[1:]] == ["Ångström; “Co”", '\'=HYPERLINK("http://x")', "'-1+1", "new line"]
    assert [row[4] for row in rows[1:]] == ["two\nlines"] * 4
    assert rows[1][2:4] == ["123.45", "Alice Rep"]
    assert list(tmp_path.glob(".*.part")) == []


def test_an_export_that_can_not_be_written_or_understood_leaves_nothing(run, cast, tmp_path):
    assert run("export", "account", tmp_path / "no" / "a.csv")[0] == 3
    assert run("export", "account", tmp_path / "a.csv", "--columns", "nonsense")[0] == 4
    assert run("export", "account", tmp_path / "a.csv", "--filter", "{")[0] == 4
    assert run("export", "nonsense", tmp_path / "a.csv")[0] == 4
    assert list(tmp_path.glob("*.csv")) == []


def test_backup_and_restore_by_hand(run, cast, tmp_path):
    code, out, _ = run("backup", tmp_path / "b.db", "--json")
    assert (code, json.loads(out)["verified"]) == (0, True)
    assert run("backup", tmp_path / "b.db")[0] == 3
    code, out, _ = run("restore", tmp_path / "b.db", "--yes")
    assert (code, "The old database lies at" in out) == (0, True)
    assert run("restore", tmp_path / "nothing.db", "--yes")[0] == 4


def test_a_fault_in_the_program_ends_with_1_and_says_so(run, cast, monkeypatch):
    from crm_core.services.admin import health

    monkeypatch.setattr(health, "thorough", lambda _session: 1 / 0)
    code, out, _ = run("check", "--json")
    assert (code, json.loads(out)["error"]) == (1, "fault")


def test_the_demo_company_is_built_once(run, database):
    code, out, _ = run("demo", "--seed", "3", "--json")
    made = json.loads(out)
    assert (code, made["scale"], made["rows"]["deal"] > 10) == (0, "small", True)
    assert run("demo")[0] == 4
    assert run("check")[0] == 0
    db.dispose()
