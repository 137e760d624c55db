"""docs/benchmarks.md from what was measured."""

from typing import TYPE_CHECKING

from tests.bench.cases import LISTS_GOAL_MS, PAGES_GOAL_MS
from tests.bench.measure import Figure

if TYPE_CHECKING:
    from tests.bench.__main__ import Results
    from tests.bench.analyses import Heavy

HEAD = """# Benchmarks

Written by `make bench`; the figures of the mathematics are in [benchmarks-ml.md](benchmarks-ml.md), those of automations, replays
and service levels in [benchmarks-automations.md](benchmarks-automations.md). Measured on a machine with {cores} cores and
{memory:.0f} GiB of memory, Python {python}, {database}; other work on it before the run: load {load:.1f}.

The data: {rows}.

Times are milliseconds of the server: from the request on the websocket to the end of the script's run, received whole by a client on the same
machine, which shares the cores. **An empty page of a bare Streamlit takes {empty:.0f} ms (95th percentile {empty95:.0f})** in the same run: no page can be
faster. *Bare SQL* is what the database alone needs for the rows on the page, without permissions, words and drawing.
"""


def write(results: "Results") -> str:
    """The whole page."""
    rows = ", ".join(f"{count:,} {name.replace('_', ' ')} rows" for name, count in results.rows.items())
    head = HEAD.format(
        cores=results.cores,
        memory=results.memory_gib,
        python=results.python,
        database=results.database,
        load=results.load_before,
        rows=rows,
        empty=results.empty.median,
        empty95=results.empty.p95,
    )
    parts = [head, _alone(results), _analyses(results), _days(results), _rest(results), _imports(results)]
    return "\n".join(part for part in parts if part)


def _alone(results: "Results") -> str:
    figures = results.alone
    lines = [
        "## One person",
        "",
        f"Warm, {len(figures[0].samples) if figures else 0} runs each. Goals for the 95th percentile: {LISTS_GOAL_MS:.0f} ms for lists and records, {PAGES_GOAL_MS:.0f} ms for every page.",
        "",
        "*CPU* is what the server's processor spent on one run, whatever else the machine did. *First* is the very first opening after the start of the app,",
        "one page after the other in this order: the first of the analyses loads the libraries for all of them.",
        "",
        "| what | median | 95th percentile | CPU | first | goal | bare SQL | reached |",
        "|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    return "\n".join(lines + [_row(figure, results.cold.get(figure.name)) for figure in figures]) + "\n"


def _analyses(results: "Results") -> str:
    if not results.computed:
        return ""
    lines = [
        "## Analyses",
        "",
        "Computed once by the worker's own job over everything that the administrator sees, with the settings that each page begins with, in a process of its own.",
        "The pages above open these runs. Groups and personas are judged on 2,000 customers drawn at random and then given to all of them.",
        "",
        "| analysis | outcome | CPU, s | memory at most, MB |",
        "|---|---|---:|---:|",
    ]
    lines += [f"| {one.kind.replace('_', ' ')} | {one.state} | {one.cpu:.1f} | {one.memory_mb:,.0f} |" for one in results.computed]
    if results.heavy:
        lines += ["", "| without a screen | ms | CPU, ms | goal | bare SQL | reached |", "|---|---:|---:|---:|---:|---|"]
        lines += [_heavy(one) for one in results.heavy]
    return "\n".join(lines) + "\n"


def _heavy(one: "Heavy") -> str:
    bare = f"{one.bare_ms:.1f}" if one.bare_ms is not None else "–"
    return f"| {one.name} | {one.ms:,.0f} | {one.cpu_ms:,.0f} | {one.goal_ms:,.0f} | {bare} | {'yes' if one.ms <= one.goal_ms else '**no**'} |"


def _row(figure: Figure, first: float | None = None) -> str:
    if figure.failure:
        return f"| {figure.name} | – | – | – | – | {figure.goal_ms:.0f} | – | failed: {figure.failure[:120]} |"
    bare = f"{figure.bare_ms:.1f}" if figure.bare_ms is not None else "–"
    return f"| {figure.name} | {figure.median:.0f} | {figure.p95:.0f} | {figure.cpu_ms or 0:.0f} | {f'{first:.0f}' if first is not None else '–'} | {figure.goal_ms:.0f} | {bare} | {'yes' if figure.reached else '**no**'} |"


def _days(results: "Results") -> str:
    if not results.days:
        return ""
    lines = [
        "## Many people at once",
        "",
        "Each waits five seconds on average between clicks (2.5 to 7.5) and does what people do in a day: lists, searches, records, the board, the overview.",
        "Goal: 300 ms for the 95th percentile.",
        "",
    ]
    names = list(dict.fromkeys(name for figures in results.days.values() for name in figures))
    head = " | ".join(f"{users} people: median | 95th" for users in results.days)
    lines += [f"| what | {head} |", "|---|" + "---:|---:|" * len(results.days)]
    for name in sorted(names, key=lambda one: (one == "all", one)):
        cells = [_cell(figures.get(name)) for figures in results.days.values()]
        label = "**all**" if name == "all" else name
        lines.append(f"| {label} | {' | '.join(cells)} |")
    lines += [
        "",
        *(
            f"With {users} people the app's {results.processes} process(es) kept {share:.0%} of one core busy, all together."
            for users, share in results.busy.items()
        ),
    ]
    failures = [f"{users} people: {figures['all'].failure}" for users, figures in results.days.items() if figures["all"].failure]
    if failures:
        lines += ["", "Failures: " + "; ".join(failures)]
    return "\n".join(lines) + "\n"


def _cell(figure: Figure | None) -> str:
    return "– | –" if figure is None or not figure.samples else f"{figure.median:.0f} | {figure.p95:.0f}"


def _rest(results: "Results") -> str:
    lines = ["## Start and memory", "", "| what | figure | goal |", "|---|---:|---:|"]
    if results.start:
        lines.append(f"| second start: `make run` answers after | {results.start['answers']:.1f} s | |")
        lines.append(f"| second start: first page drawn after | {results.start['first page']:.1f} s | 4 s |")
    lines += [f"| memory of the app {when} | {size:.0f} MB | |" for when, size in results.memory.items()]
    return "\n".join(lines) + "\n"


def _imports(results: "Results") -> str:
    if not results.imports:
        return ""
    lines = [
        "## Imports",
        "",
        "Rows per second of a whole import (checks, related records, history, search, an outcome for every row), beside a raw bulk insert of the same rows. Goal: at least a fifth.",
        "",
        "| file | import | raw insert | share | reached |",
        "|---|---:|---:|---:|---|",
    ]
    lines += [
        f"| {figure.name} | {figure.import_rows_per_second:,.0f} | {figure.raw_rows_per_second:,.0f} | {figure.share:.0%} | {'yes' if figure.reached else '**no**'} |"
        for figure in results.imports
    ]
    return "\n".join(lines) + "\n"
