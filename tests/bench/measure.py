"""Measuring: one person alone, many people with pauses between their clicks, bare SQL, start-up, memory."""

import asyncio
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import httpx
from sqlalchemy import text

from crm_core.db import read_engine
from tests.bench.cases import DAY, Case
from tests.bench.client import Failed, Tab

SETTLE = 0.02
ROOT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent


@dataclass
class Figure:
    """Milliseconds of one thing, measured several times; ``cpu``: what the server's processor spent on each."""

    name: str
    samples: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    goal_ms: float | None = None
    bare_ms: float | None = None
    failure: str = ""

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def p95(self) -> float:
        ordered = sorted(self.samples)
        return ordered[max(0, -(-len(ordered) * 95 // 100) - 1)]

    @property
    def cpu_ms(self) -> float | None:
        return statistics.median(self.cpu) if self.cpu else None

    @property
    def reached(self) -> bool:
        return not self.failure and self.goal_ms is not None and self.p95 <= self.goal_ms


async def alone(
    url: str, token: str, cases: Sequence[Case], *, spent: Callable[[], float], repeats: int, warm: int = 3, seed: int = 7
) -> list[Figure]:
    """One person, each case in a tab of its own: some runs to warm up, then the measured ones. ``spent``: processor seconds of the
    server so far."""
    figures = []
    for case in cases:
        figure = Figure(case.name, goal_ms=case.goal_ms, bare_ms=_bare(case.bare) if case.bare else None)
        random = Random(seed)
        try:
            async with Tab(url, token) as tab:
                for turn in range(warm + repeats):
                    if case.prepare is not None:
                        await case.prepare(tab, random)
                    await asyncio.sleep(SETTLE)  # the run before tidies up after it has answered
                    before = spent()
                    seconds = await case.act(tab, random)
                    if turn >= warm:
                        figure.samples.append(seconds * 1_000)
                        figure.cpu.append((spent() - before) * 1_000)
        except Failed as error:
            figure.failure = str(error)
        words = figure.failure or f"{figure.median:7.0f} {figure.p95:7.0f} ms, {figure.cpu_ms or 0:5.0f} ms of CPU"
        print(f"  {case.name:28} {words}", flush=True)
        figures.append(figure)
    return figures


async def first_opens(url: str, token: str, cases: Sequence[Case]) -> dict[str, float]:
    """Milliseconds of the very first opening of each case after the start of the app, in this order; the first ones load libraries."""
    found = {}
    async with Tab(url, token) as tab:
        await tab.open("today")
        for case in cases:
            try:
                found[case.name] = await case.act(tab, Random(1)) * 1_000
            except Failed as error:
                print(f"  {case.name}: {error}", flush=True)
    return found


async def day(url: str, people: Sequence[tuple[str, Sequence[Case]]], *, seconds: float, think: float = 5.0) -> dict[str, Figure]:
    """Everybody at once, ``think`` seconds between clicks on average, doing what people do in a day. Name → figure, and ``all``.

    ``people``: token and the cases of the screens that this person has. A click that fails is counted, and the person opens the next screen.
    """
    found = {name: Figure(name) for name in (*(name for name, _ in DAY), "all")}
    failures: list[str] = []
    stop = time.monotonic() + seconds

    async def person(number: int, token: str, cases: Sequence[Case]) -> None:
        random = Random(number)
        known = {case.name: case for case in cases}
        names = [name for name, _ in DAY if name in known]
        weights = [weight for name, weight in DAY if name in known]
        await asyncio.sleep(random.uniform(0, think))
        async with Tab(url, token) as tab:
            await tab.open("today")
            while time.monotonic() < stop:
                await asyncio.sleep(random.uniform(0.5, 1.5) * think)
                case = known[random.choices(names, weights)[0]]
                try:
                    if case.prepare is not None:
                        await case.prepare(tab, random)
                        await asyncio.sleep(random.uniform(0.5, 1.5) * think)
                    taken = await case.act(tab, random) * 1_000
                except Failed as error:
                    failures.append(f"{case.name}: {error}")
                    continue
                found[case.name].samples.append(taken)
                found["all"].samples.append(taken)

    results = await asyncio.gather(*(person(n, token, cases) for n, (token, cases) in enumerate(people)), return_exceptions=True)
    failures += [str(error) for error in results if isinstance(error, BaseException)]
    found["all"].failure = f"{len(failures)} clicks failed, such as: {failures[0][:200]}" if failures else ""
    return {name: figure for name, figure in found.items() if figure.samples or figure.failure}


def _bare(statements: Sequence[str], repeats: int = 5) -> float:
    """Median milliseconds of the statements alone, over a warm connection of this process."""
    taken = []
    with read_engine().connect() as connection:
        for _ in range(repeats + 1):
            began = time.perf_counter()
            for statement in statements:
                connection.execute(text(statement)).all()
            taken.append((time.perf_counter() - began) * 1_000)
    return statistics.median(taken[1:])


@contextmanager
def empty_app() -> Iterator[str]:
    """A bare Streamlit with an empty page, beside which every figure stands."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    options = [
        "--server.port",
        str(port),
        "--server.address",
        "127.0.0.1",
        "--server.headless",
        "true",
        "--server.fileWatcherType",
        "none",
        "--runner.postScriptGC",
        "false",
    ]
    command = [sys.executable, "-m", "streamlit", "run", "empty.py", *options]
    process = subprocess.Popen(command, cwd=HERE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        until_up(f"http://127.0.0.1:{port}")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(15)


async def empty(url: str, *, repeats: int) -> Figure:
    """Runs of the empty page."""
    figure = Figure("empty page of a bare Streamlit")
    async with Tab(url) as tab:
        for turn in range(repeats + 3):
            seconds = await tab.open()
            if turn >= 3:
                figure.samples.append(seconds * 1_000)
    return figure


def until_up(url: str, seconds: float = 120) -> float:
    """Seconds until the server answers its health check."""
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        try:
            if httpx.get(f"{url}/_stcore/health", timeout=2).status_code == 200:
                return time.perf_counter() - began
        except httpx.HTTPError:
            pass
        time.sleep(0.02)
    raise TimeoutError(f"{url} is not up after {seconds:.0f} s")


def cpu_seconds(pid: int) -> float:
    """Processor time that a process has spent; 0 where the system does not tell."""
    try:
        return time.clock_gettime((~pid << 3) | 2)  # Linux: the clock of another process (clock_getcpuclockid)
    except OSError:
        return 0.0


def memory_mb(pid: int) -> float:
    """Resident memory of a process; 0 where the system does not tell."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    return next(int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmRSS"))
