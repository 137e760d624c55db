"""Workers for the tests: a process that has loaded what a worker loads and forks one on demand.

A forked worker is a process of its own, which can be killed, frozen and asked to stop like any other; only reading the code again and again,
seconds for each, is spared. Run as ``python -m tests.worker.nursery``: a line of JSON is a request, a line of JSON the answer.
"""

import atexit
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


# --- in the test's process ------------------------------------------------------------------------------------------------


class Forked:
    """A worker out of the nursery, with the few methods of ``subprocess.Popen`` that the tests use."""

    def __init__(self, environment: dict[str, str]) -> None:
        self.pid: int = _ask({"fork": environment})
        self.returncode: int | None = None

    def poll(self) -> int | None:
        if self.returncode is None:
            self.returncode = _ask({"ended": self.pid})
        return self.returncode

    def wait(self, timeout: float = 60) -> int:
        end = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > end:
                raise subprocess.TimeoutExpired("a worker", timeout)
            time.sleep(0.01)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


def _ask(request: dict) -> int | None:
    process = _nursery()
    process.stdin.write(json.dumps(request) + "\n")
    process.stdin.flush()
    return json.loads(process.stdout.readline())


@cache
def _nursery() -> subprocess.Popen:
    plain = {key: value for key, value in os.environ.items() if not key.startswith("RAPPORT_")} | {"PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "tests.worker.nursery"]
    process = subprocess.Popen(command, cwd=ROOT, env=plain, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(process.stdin.close)  # it ends with its last request
    return process


# --- in the nursery -------------------------------------------------------------------------------------------------------


def serve() -> dict[str, str] | None:
    """Answer requests. Returns the environment in each forked child, and None in the nursery when nobody asks any more."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a worker prints is no answer
    codes: dict[int, int | None] = {}
    for line in sys.stdin:
        request = json.loads(line)
        if "fork" in request:
            answer = os.fork()
            if answer == 0:
                os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
                answers.close()
                return request["fork"]
            codes[answer] = None
        else:
            answer = _ended(request["ended"], codes)
        print(json.dumps(answer), file=answers, flush=True)
    for pid in (pid for pid, code in codes.items() if code is None):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return None


def _ended(pid: int, codes: dict[int, int | None]) -> int | None:
    if codes[pid] is None:
        found, status = os.waitpid(pid, os.WNOHANG)
        codes[pid] = os.waitstatus_to_exitcode(status) if found else None
    return codes[pid]


def load() -> None:
    """What a worker loads until it works; nothing that starts a thread or opens a database."""
    import threading

    import dbos
    import numpy
    import pandas

    import worker.main
    from crm_core import summaries
    from crm_core.jobs.registry import load_all
    from tests.worker import sandbox

    load_all()
    assert threading.active_count() == 1, "only a process with one thread may fork"
    del dbos, numpy, pandas, worker, summaries, sandbox


if __name__ == "__main__":
    load()
    environment = serve()
    if environment is not None:
        os.environ.clear()
        os.environ.update(environment)
        from crm_core.settings import settings
        from tests.worker import sandbox

        settings.cache_clear()
        sandbox.main()
