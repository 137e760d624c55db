"""The app's processes and the worker as children: started, watched, stopped together. Imports next to nothing, since the app starts behind it."""

import base64
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import FrameType
from typing import Any

from crm_core.cli import front
from crm_core.settings import ROOT, settings

STOP_SECONDS = 15
_BACK_OFF = (1, 2, 5, 15, 30)
_MIGRATIONS = Path(__file__).resolve().parent.parent / "migrations" / "versions"


OTHERS_AFTER, WORKER_AFTER = 3.0, 5.0
"""Seconds after the app answers: on two cores they would delay the first page."""

MEMORY_OF_ONE = 1.5 * 2**30
"""So much memory should be there for each process that draws pages (it takes a quarter of a GiB to half a GiB)."""


class Supervisor:
    """Runs the app in one process or several, and the worker. The end of one of the app's is the end; a crashed worker is started again, with
    growing pauses."""

    def __init__(self, *, with_worker: bool = True, processes: int | None = None) -> None:
        self.with_worker = with_worker
        self.processes = processes_for(settings().processes if processes is None else processes)
        self.front: front.Front | None = None
        self.apps: list[subprocess.Popen[bytes]] = []
        self.setup_token = ""
        self.worker: subprocess.Popen[bytes] | None = None
        self.stopping = threading.Event()
        self.crashes = 0
        self.others_due = self.worker_due = float("inf")
        self.worker_began = 0.0

    def run(self) -> int:
        """Until a signal or the app's end; returns the exit code."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._on_signal)
        if not self._prepare():
            return 3
        if self.processes > 1 and not self._listen():
            return 3
        self._start_app()
        threading.Thread(target=self._announce, daemon=True).start()
        while not self.stopping.is_set() and all(app.poll() is None for app in self.apps):
            self._mind_others()
            self._mind_worker()
            self.stopping.wait(0.25)
        code = 0 if self.stopping.is_set() else next((app.returncode for app in self.apps if app.returncode), 0)
        self._stop()
        return code

    def _listen(self) -> bool:
        host, port = _address()
        chosen = settings().setup_token
        self.setup_token = chosen.get_secret_value() if chosen is not None else ""
        self.setup_token = self.setup_token or base64.urlsafe_b64encode(os.urandom(9)).decode()  # the same one for all of them
        self.front = front.Front(host, port, self.processes)
        try:
            self.front.open()
        except OSError as error:
            print(f"\n  Rapport can't listen on {host}, port {port}: {error.strerror}.\n", file=sys.stderr, flush=True)
            return False
        self.front.start()
        return True

    def _start_app(self) -> None:
        """One more process that draws pages: at the public address, or behind the front with a port of its own that nobody needs."""
        command = ("-m", "web", "run", "app.py", "--logger.hideWelcomeMessage", "true")
        if self.front is None:
            self.apps.append(self._child(*command))
            return
        there = self.front.lines[len(self.apps)].there
        there.set_inheritable(True)
        more = {front.VARIABLE: str(there.fileno()), front.NUMBER: str(len(self.apps)), "RAPPORT_SETUP_TOKEN": self.setup_token}
        inside = ("--server.address", "127.0.0.1", "--server.port", "0", "--browser.serverPort", str(self.front.port))
        self.apps.append(self._child(*command, *inside, keep=(there.fileno(),), **more))
        there.close()

    def _mind_others(self) -> None:
        if len(self.apps) < self.processes and time.monotonic() >= self.others_due:
            self._start_app()
            self.others_due = time.monotonic() + OTHERS_AFTER

    def _on_signal(self, _number: int, _frame: FrameType | None) -> None:
        self.stopping.set()

    def _prepare(self) -> bool:
        """Migrate the embedded database when it is not at the newest revision; looking costs no import."""
        if not settings().is_sqlite or _revision() == _newest():
            return True
        print("Preparing the database…", flush=True)
        done = subprocess.run([sys.executable, "-m", "crm_core", "migrate"], cwd=ROOT, check=False, stdout=subprocess.DEVNULL)
        return done.returncode == 0

    def _child(self, *arguments: str, keep: tuple[int, ...] = (), **more: str) -> subprocess.Popen[bytes]:
        # a group of its own: Ctrl+C in the terminal must reach us only, so that we stop both in order
        return subprocess.Popen(  # noqa: S603
            [sys.executable, *arguments],
            cwd=ROOT,
            env={"OMP_NUM_THREADS": "1"} | os.environ | more,  # more threads make the small fits of a job slower
            start_new_session=True,
            pass_fds=keep,
            preexec_fn=_end_with_parent if _PRCTL else None,
        )

    def _announce(self) -> None:
        """Say where the app is as soon as it answers, and only then start the worker and the other processes."""
        host, port = _address()
        probe = "127.0.0.1" if host in ("0.0.0.0", "localhost", "::") else host  # noqa: S104
        end = time.monotonic() + 60
        while time.monotonic() < end and not self.stopping.is_set():
            if _answers(f"http://{probe}:{port}/_stcore/health"):
                shown = settings().public_url.rstrip("/") or f"http://{'localhost' if probe == '127.0.0.1' else host}:{port}"
                print(f"\n  Rapport runs at {shown}   (Ctrl+C stops it)\n", flush=True)
                break
            time.sleep(0.1)
        self.others_due, self.worker_due = time.monotonic() + OTHERS_AFTER, time.monotonic() + WORKER_AFTER

    def _mind_worker(self) -> None:
        if not self.with_worker:
            return
        now = time.monotonic()
        if self.worker is not None and self.worker.poll() is not None:
            if now - self.worker_began > 300:
                self.crashes = 0
            pause = _BACK_OFF[min(self.crashes, len(_BACK_OFF) - 1)]
            self.crashes += 1
            print(f"  The worker ended ({self.worker.returncode}); next start in {pause} s.", file=sys.stderr, flush=True)
            self.worker, self.worker_due = None, now + pause
        if self.worker is None and now >= self.worker_due:
            self.worker, self.worker_began = self._child("-m", "crm_core", "worker"), now

    def _stop(self) -> None:
        """Ask all to end, wait, and only then insist."""
        if self.front is not None:
            self.front.close()
        children = [child for child in (self.worker, *self.apps) if child is not None]
        for child in children:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
        end = time.monotonic() + STOP_SECONDS
        for child in children:
            try:
                child.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()


def processes_for(wanted: int) -> int:
    """How many processes draw pages: what was asked for, or one for each core as far as memory allows. One where several are not possible."""
    if not front.POSSIBLE or _own_tls():
        return 1
    if wanted:
        return wanted
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return max(1, min(len(os.sched_getaffinity(0)), 4, int(memory // MEMORY_OF_ONE)))


def _own_tls() -> bool:
    """True when the app itself speaks TLS: what comes in can't be read then."""
    if os.environ.get("STREAMLIT_SERVER_SSL_CERT_FILE"):
        return True
    return any(line.strip().startswith("sslCertFile") for line in (ROOT / ".streamlit" / "config.toml").read_text().splitlines())


def _address() -> tuple[str, int]:
    return os.environ.get("STREAMLIT_SERVER_ADDRESS", "127.0.0.1"), int(os.environ.get("STREAMLIT_SERVER_PORT", "8501"))


def _prctl() -> Any:
    if sys.platform != "linux":
        return None
    try:
        import ctypes

        return ctypes.CDLL(None).prctl
    except (OSError, AttributeError):
        return None


_PRCTL = _prctl()
"""Looked up beforehand: between fork and exec nothing may be imported."""


def _end_with_parent() -> None:
    """In the child: get SIGTERM when the supervisor dies without having said so (kill -9)."""
    _PRCTL(1, signal.SIGTERM)  # PR_SET_PDEATHSIG


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as response:  # noqa: S310  (our own address)
            return response.status == 200
    except (TimeoutError, urllib.error.URLError, OSError):
        return False


def _newest() -> str:
    """The newest revision by the files' numbers (tests compare it with Alembic's answer)."""
    return max(path.name[:4] for path in _MIGRATIONS.glob("[0-9][0-9][0-9][0-9]_*.py"))


def _revision() -> str | None:
    """The database's revision; None when there is none yet, or no job queue."""
    path = settings().url.removeprefix("sqlite:///")
    if not Path(path).exists():
        return None
    try:
        connection = sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True, timeout=5)
        try:
            connection.execute("select 1 from workflow_status limit 1").fetchone()
            row = connection.execute("select version_num from alembic_version").fetchone()
        finally:
            connection.close()
    except sqlite3.Error:
        return None
    return row[0] if row else None
