"""The app as ``serve`` runs it, with all its processes: what people get is what is measured."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from crm_core.cli.supervisor import processes_for
from crm_core.settings import settings
from tests.bench.measure import cpu_seconds, memory_mb, until_up
from tests.tools.app import App, workspace
from tests.web.server import ROOT, free_port


@dataclass(frozen=True)
class Served:
    """The app and the processes that draw its pages."""

    app: App
    pids: tuple[int, ...]

    def memory_mb(self) -> float:
        return sum(memory_mb(pid) for pid in self.pids)

    def cpu_seconds(self) -> float:
        return sum(cpu_seconds(pid) for pid in self.pids)


@contextmanager
def served(folder: Path) -> Iterator[Served]:
    """Serve a folder's workspace without the worker; yields once every process is up and quiet."""
    with workspace(folder):
        port, log = free_port(), folder / "server.log"
        command = [sys.executable, "-m", "crm_core", "serve", "--no-worker", "--port", str(port)]
        with log.open("w") as output:
            process = subprocess.Popen(command, cwd=ROOT, stdout=output, stderr=subprocess.STDOUT)
        try:
            url = f"http://127.0.0.1:{port}"
            until_up(url)
            yield Served(App(url, folder, process.pid, log), _all_of(process.pid))
        finally:
            process.terminate()
            process.wait(30)


def _all_of(parent: int) -> tuple[int, ...]:
    wanted, end = processes_for(settings().processes), time.monotonic() + 120
    while len(found := _children(parent)) < wanted:
        if time.monotonic() > end:
            raise TimeoutError(f"only {len(found)} of {wanted} processes came up")
        time.sleep(0.2)
    time.sleep(5)  # their warm-up
    spent = -1.0
    while sum(map(cpu_seconds, found)) - spent > 0.1 and time.monotonic() < end:
        spent = sum(map(cpu_seconds, found))
        time.sleep(1)
    return found


def _children(parent: int) -> tuple[int, ...]:
    return tuple(
        sorted(int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and _parent(entry.name) == parent)
    )


def _parent(pid: str) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])
    except (OSError, IndexError, ValueError):
        return 0
