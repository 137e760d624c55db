"""The real app with a workspace of its own, and people signed in to it without a password: for journeys, pictures and measurements."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from crm_core import schema
from crm_core.db import read_session, write_session
from crm_core.services.admin import demo, setup, signin
from crm_core.vocabulary import SigninMethod
from tests.conftest import ROOT, _environment
from tests.web.server import running, wait_until_up
from web.cookies import SESSION_COOKIE


@dataclass(frozen=True)
class App:
    """A started app. The settings of this process point at its database, so that tests can look into it."""

    url: str
    folder: Path
    pid: int
    log: Path

    def people(self) -> dict[str, int]:
        """A person per role: role key → user id."""
        with read_session() as session:
            return demo.people(session)

    def token(self, user_id: int) -> str:
        """The cookie value of a new session of this person."""
        with write_session() as session:
            return signin.enter(session, user_id, SigninMethod.DEMO, browser="tests")

    def cookie(self, user_id: int) -> dict[str, str]:
        """The session cookie, as a browser context takes it."""
        return {"name": SESSION_COOKIE, "value": self.token(user_id), "url": self.url}


@contextmanager
def workspace(folder: Path, *, scale: str | None = None, url: str | None = None) -> Iterator[str]:
    """A migrated workspace in a folder (or at a database URL), with the demo company of a scale unless it is None; yields the URL."""
    folder.mkdir(parents=True, exist_ok=True)
    with _environment(url or f"sqlite:///{folder / 'rapport.db'}", folder) as found:
        schema.upgrade()
        with write_session() as session:
            setup.install(session)
            empty = setup.organisation(session) is None
        if scale is not None and empty:
            demo.build(scale=scale)
        yield found


@contextmanager
def worker() -> Iterator[None]:
    """The worker beside the app, on the database that the settings of this process point at."""
    process = subprocess.Popen(
        [sys.executable, "-m", "crm_core", "worker"], cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, stdout=subprocess.DEVNULL
    )
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(30)


@contextmanager
def started(folder: Path, *, scale: str | None = "small", url: str | None = None, **settings: str) -> Iterator[App]:
    """The app over a workspace, up and answering."""
    with workspace(folder, scale=scale, url=url) as found, running(found, folder, **settings) as (address, process, log):
        wait_until_up(address, process, log)
        yield App(address, folder, process.pid, log)
