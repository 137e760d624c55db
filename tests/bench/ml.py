"""``python -m tests.bench.ml``: times the mathematics and writes docs/benchmarks-ml.md.

Cases come from ``cases()`` of `ml_a`, `ml_b` and `ml_c`: ``(name, callable, peer or None, goal)``. Ours and the peer run
in turns in one process, so the ratio holds on any machine; the seconds hold on this one. Memory is what Python and numpy
hold at the peak of a call, the answer included.
``--part ml_b.attribution_cases`` measures one part and replaces its rows in the page: each row stands by itself, since ours
and the peer were measured together. ``--only WORD`` prints the cases whose name holds the word and writes nothing.
"""

import argparse
import cProfile
import gc
import importlib
import io
import os
import platform
import pstats
import re
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

PARTS = ("ml_a", "ml_b", "ml_c")
TARGET = Path(__file__).resolve().parents[2] / "docs" / "benchmarks-ml.md"
REPEATS, LONG = 3, 5.0
UNSEEN = ("(C)", "ChannelAttribution")  # peers whose memory tracemalloc sees only in part


@dataclass
class Row:
    """One case, measured."""

    name: str
    goal: str
    seconds: float
    memory: float | None
    peer_seconds: float | None = None
    peer_memory: float | None = None
    profile: str = ""

    @property
    def ratio(self) -> float | None:
        """How many times the peer takes what we take."""
        return None if self.peer_seconds is None else self.peer_seconds / self.seconds

    @property
    def reached(self) -> bool | None:
        """Whether the goal's numbers hold; None for a goal without any."""
        checks = []
        if limit := re.search(r"under ([\d.]+) s", self.goal):
            checks.append(self.seconds < float(limit[1]))
        if self.ratio is not None:
            if limit := re.search(r"at least ([\d.]+)(?:×| times)", self.goal):
                checks.append(self.ratio >= float(limit[1]))
            if limit := re.search(r"within ([\d.]+)×", self.goal):
                checks.append(1 / self.ratio <= float(limit[1]))
            if "faster than the peer" in self.goal or "no slower" in self.goal:
                checks.append(self.ratio > 1)
        if "memory under a quarter" in self.goal and self.memory is not None and self.peer_memory is not None:
            checks.append(self.memory < self.peer_memory / 4)
        return all(checks) if checks else None


def cases(part: str = "") -> Iterator[tuple[str, Callable[[], object], Callable[[], object] | None, str]]:
    """The cases of one part (``ml_b`` or ``ml_b.attribution_cases``), or of all that are there."""
    module, _, function = part.partition(".")
    for name in [module] if module else PARTS:
        if (Path(__file__).parent / f"{name}.py").exists():
            yield from getattr(importlib.import_module(f"tests.bench.{name}"), function or "cases")()


def cpu(*calls: Callable[[], object]) -> list[float]:
    """Least CPU seconds of each call, run in turns; a long one runs once."""
    best = [float("inf")] * len(calls)
    for _ in range(REPEATS):
        for i, call in enumerate(calls):
            if best[i] < float("inf") and best[i] > LONG:
                continue
            gc.collect()
            start = time.process_time()
            call()
            best[i] = min(best[i], time.process_time() - start)
    return best


def memory(call: Callable[[], object]) -> float:
    """Megabytes that Python and numpy hold at the peak of a call (tracemalloc); what C libraries take is not seen."""
    call()
    gc.collect()
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 2**20


def profile(call: Callable[[], object]) -> str:
    """The ten dearest functions, for a goal that was missed."""
    watch = cProfile.Profile()
    watch.runcall(call)
    text = io.StringIO()
    pstats.Stats(watch, stream=text).strip_dirs().sort_stats("tottime").print_stats(10)
    lines = text.getvalue().splitlines()
    start = next(i for i, line in enumerate(lines) if "ncalls" in line)
    return "\n".join(line for line in lines[start : start + 11] if line.strip())


def measure(only: str = "", part: str = "") -> list[Row]:
    """Run what the word and the part select."""
    rows = []
    for name, ours, peer, goal in cases(part):
        if only.lower() not in name.lower():
            continue
        calls = [ours] if peer is None else [ours, peer]
        seconds = cpu(*calls)
        row = Row(name, goal, seconds[0], memory(ours))
        if peer is not None:
            row.peer_seconds = seconds[1]
            row.peer_memory = None if any(word in name for word in UNSEEN) else memory(peer)
        if row.reached is False:
            row.profile = profile(ours)
        rows.append(row)
        print(line(row), flush=True)
    return rows


def line(row: Row) -> str:
    """One row of the table."""

    def number(value: float | None, digits: int = 3) -> str:
        return "" if value is None else f"{value:.{digits}g}" if value < 1000 else f"{value:,.0f}"

    times = "" if row.ratio is None else f"{row.ratio:.3g}×"
    reached = {True: "yes", False: "**no**", None: ""}[row.reached]
    cells = (
        row.name,
        number(row.seconds),
        number(row.peer_seconds),
        times,
        number(row.memory),
        number(row.peer_memory),
        row.goal,
        reached,
    )
    return "| " + " | ".join(cells) + " |"


def page(rows: list[Row], before: str = "") -> str:
    """The report; rows of an earlier one stay where they were not measured again."""
    gigabytes = round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30)
    kept, profiles = _kept(before)
    for row in rows:
        kept[row.name] = line(row)
        profiles.pop(row.name, None)
        if row.reached is False:
            profiles[row.name] = row.profile
    text = [
        "# Speed of the mathematics",
        "",
        f"`make bench` or `python -m tests.bench.ml`; Python {platform.python_version()}, {os.cpu_count()} cores, "
        f"{gigabytes} GiB, one thread per library, other work on the machine. CPU seconds, the least of three runs (of one "
        f"when it takes over {LONG:g} s); ours and the peer in turns in the same process, after their answers were "
        "compared. Memory is what Python and numpy hold at the peak of a call, its answer included, in MB; blank where a "
        "C library keeps its own. Peers come from `requirements-bench.txt`; without them their cases say so.",
        "",
        "| case | s | peer s | ratio | MB | peer MB | goal | reached |",
        "|---|---:|---:|---:|---:|---:|---|---|",
        *kept.values(),
        "",
        "The ratio is the peer's time over ours. Ours starts from order lines or journeys as the database gives them and "
        "checks them; the peers start from what they need, prepared outside the clock: mlxtend from a dense table of "
        "booleans (500 MB for the larger set, not counted), pyfim and efficient-apriori from lists, ChannelAttribution "
        "from text.",
    ]
    if profiles:
        text += ["", "## Where a goal was missed", ""]
        for name, shown in profiles.items():
            text += [f"### {name}", "", "```", shown, "```", ""]
    return "\n".join(text).rstrip() + "\n"


def _kept(before: str) -> tuple[dict[str, str], dict[str, str]]:
    """Rows and profiles of an earlier page, by case."""
    rows = {found[1]: found[0] for found in re.finditer(r"^\| (.+?) \|.*\|$", before, re.MULTILINE) if found[1] != "case"}
    profiles = {found[1]: found[2] for found in re.finditer(r"^### (.+)\n\n```\n(.*?)\n```$", before, re.MULTILINE | re.DOTALL)}
    return rows, profiles


def main() -> int:
    """Measure, and write the page unless only a part was asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench.ml", description=__doc__)
    parser.add_argument("--only", default="", help="only cases whose name holds this word; nothing is written")
    parser.add_argument("--part", default="", help="only this part, such as ml_b.attribution_cases; its rows are replaced")
    options = parser.parse_args()
    rows = measure(options.only, options.part)
    if not rows:
        print("No case has that name.", file=sys.stderr)
        return 1
    if not options.only:
        TARGET.parent.mkdir(exist_ok=True)
        TARGET.write_text(page(rows, TARGET.read_text() if options.part and TARGET.exists() else ""))
    return 0


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
