"""``serve``: one command brings up the app and its worker, keeps the worker alive, and takes both down."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from itertools import pairwise
from pathlib import Path

import pytest

from crm_core.cli.supervisor import Supervisor, _newest, _revision
from crm_core.settings import ROOT

pytestmark = [pytest.mark.server, pytest.mark.slow]


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


PROC = Path("/proc")


def parent_and_state(pid):
    try:
        fields = (PROC / str(pid) / "stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None, "gone"
    return int(fields[1]), fields[0]


def children(pid):
    """Process ids and command lines of the direct children of a process."""
    mine = [int(entry.name) for entry in PROC.iterdir() if entry.name.isdigit() and parent_and_state(entry.name)[0] == pid]
    return {each: command_of(each) for each in mine if not ended(each)}


def command_of(pid):
    try:
        return (PROC / str(pid) / "cmdline").read_text().replace("\0", " ")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def ended(pid):
    return parent_and_state(pid)[1] in ("gone", "Z")


def until(condition, seconds=60):
    end = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.1)
    return value


@pytest.mark.skipif(not PROC.is_dir(), reason="looks at processes through /proc")
def test_one_command_starts_all_of_it_revives_the_worker_and_stops_all(tmp_path):
    port = free_port()
    environment = {**os.environ, "RAPPORT_DATA_DIR": str(tmp_path), "RAPPORT_DATABASE_URL": ""}
    log = (tmp_path / "log").open("w+")
    command = [sys.executable, "-m", "crm_core", "serve", "--port", str(port), "--processes", "2"]
    serve = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT)
    try:

        def worker():
            return next((pid for pid, line in children(serve.pid).items() if "crm_core worker" in line), None)

        first = until(worker)
        until(lambda: sum("-m web run" in line for line in children(serve.pid).values()) == 2)
        for person in "abcd":  # each process answers, and lets nobody keep a connection that others may come through
            asked = urllib.request.Request(f"http://127.0.0.1:{port}/signin", headers={"Cookie": f"rapport_session={person}"})
            with urllib.request.urlopen(asked) as answer:
                assert answer.status == 200 and answer.headers["connection"] == "close"
        until(lambda: "is ready" in (tmp_path / "log").read_text())
        os.kill(first, signal.SIGKILL)
        until(lambda: worker() not in (None, first))
        mine = children(serve.pid)
        serve.send_signal(signal.SIGTERM)
        assert serve.wait(timeout=30) == 0
    finally:
        if serve.poll() is None:
            serve.kill()
            for pid in children(serve.pid):
                os.kill(pid, signal.SIGKILL)
    assert all(ended(pid) for pid in mine)
    said = (tmp_path / "log").read_text()
    assert f"Rapport runs at http://localhost:{port}" in said
    assert "Rapport is new here" in said
    assert "The worker ended" in said
    log.close()


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells children that their parent died")
def test_killed_itself_it_leaves_nothing_running(database):
    command = [sys.executable, "-m", "crm_core", "serve", "--port", str(free_port()), "--processes", "2"]
    serve = subprocess.Popen(command, cwd=ROOT, env=dict(os.environ), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    until(lambda: len(children(serve.pid)) == 3)
    mine = children(serve.pid)
    serve.kill()
    serve.wait()
    until(lambda: all(ended(pid) for pid in mine))


def test_a_database_that_is_newer_stops_the_start_with_its_sentence(database):
    from sqlalchemy import text

    from crm_core.db import write_session

    with write_session() as session:
        session.execute(text("update alembic_version set version_num = '9999'"))
    command = [sys.executable, "-m", "crm_core", "serve", "--port", str(free_port())]
    done = subprocess.run(command, cwd=ROOT, env=dict(os.environ), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 3
    assert "newer version of Rapport" in done.stderr


def test_the_quick_look_finds_no_revision_in_nothing_and_in_rubbish(tmp_path, monkeypatch):
    from crm_core.settings import settings

    monkeypatch.setenv("RAPPORT_DATABASE_URL", f"sqlite:///{tmp_path / 'x.db'}")
    settings.cache_clear()
    assert _revision() is None
    (tmp_path / "x.db").write_text("rubbish")
    assert _revision() is None
    assert _newest() >= "0002"
    settings.cache_clear()


def test_a_worker_that_keeps_crashing_is_started_with_growing_pauses(monkeypatch):
    class Dead:
        returncode = 1

        def poll(self):
            return 1

    now = [1000.0]
    monkeypatch.setattr("crm_core.cli.supervisor.time.monotonic", lambda: now[0])
    supervisor = Supervisor()
    supervisor.worker_due = 0
    monkeypatch.setattr(supervisor, "_child", lambda *_: Dead())
    starts = []
    for _ in range(2_000):
        before = supervisor.worker
        supervisor._mind_worker()
        if supervisor.worker is not before and supervisor.worker is not None:
            starts.append(now[0])
        now[0] += 0.25
    pauses = [round(later - earlier) for earlier, later in pairwise(starts)]
    assert pauses[:5] == sorted(pauses[:5])
    assert pauses[4] >= 30
