"""docs/benchmarks-automations.md from what was measured."""

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import date

from tests.bench.patient import AT_ONCE, PER_SECOND, Answered
from tests.bench.promises import CLOCKS, EVENTS_MANY, Timed

HEAD = """# Benchmarks of automations, replays and service levels

Written by `make bench ARGS=--patient` on {day}, on a machine with {cores} cores, Python {python}; load of the minute before each part:
{loads}{busy}. From the second part on that holds the part before it.
The workers, the database and whoever causes the events share those cores, so more workers than cores show how they get on, not how fast they could be.
PostgreSQL runs with its settings as they come: each commit waits for the disk.

## Events

An event is a new lead. The automation that hears it asks one condition and takes three steps: a field is set, the owner is told, a task is created,
each with its log, history and search. *At once*: {at_once:,} leads were created beforehand, while the automation was paused; from the commit that puts
their events into its inbox until the last step of the last one is committed. *Lag*: {per_second} events a second, each by itself; seconds from its
commit until others see its last step.
Workers ask the queue twice a second, which is a quarter of a second on average.

Beside them the job engine alone: jobs without a body, on a queue without our limits, and the same as a job of the product (its attempt, progress and
fence are three transactions; the queue hands out four at a time, twice a second, per worker). One job answers many events, so events are not bounded by it.

| database | workers | engine's no-ops per second | empty jobs per second | events per second | lag, median | lag, 95th |
|---|---:|---:|---:|---:|---:|---:|
{events}

SQLite has one writer and one worker.

## Replay of a rule

The rule tried on {many:,} events of the last 90 days, before it is switched on. *Bare SQL* only reads those events.

| database | rule | seconds | CPU | bare SQL | what came out |
|---|---|---:|---:|---:|---|
{replays}

## Clocks of service levels

{clocks:,} promises that run, in working hours with a lunch break and a holiday; a tenth of them paused. Goal: evaluated within a second.

| database | what | seconds | CPU | bare SQL | goal | reached |
|---|---|---:|---:|---:|---:|---|
{watched}
"""

BUSY = " (a busy machine: the figures are worse than on a quiet one)"


def write(answered: Sequence[Answered], replayed: Sequence[Timed], watched: Sequence[Timed], loads: Mapping[str, float]) -> str:
    """The whole page; ``loads``: of the machine before each part, in the order in which they ran."""
    return HEAD.format(
        day=date.today().isoformat(), cores=os.cpu_count(), python=platform.python_version(), many=EVENTS_MANY, clocks=CLOCKS,
        loads=", ".join(f"{part} {load:.1f}" for part, load in loads.items()), busy=BUSY if _busy(list(loads.values())) else "",
        at_once=AT_ONCE, per_second=PER_SECOND,
        events="\n".join(map(_event, answered)), replays="\n".join(map(_replay, replayed)), watched="\n".join(map(_clock, watched)),
    )  # fmt: skip


def _busy(loads: Sequence[float]) -> bool:
    return loads[0] > 0.7 or max(loads) > 1.7  # the bench itself keeps one core busy


def _event(one: Answered) -> str:
    return f"| {one.database} | {one.workers} | {one.noops:.0f} | {one.jobs:.1f} | **{one.events:.0f}** | {one.median:.2f} s | {one.p95:.2f} s |"


def _replay(one: Timed) -> str:
    return f"| {one.database} | {one.name} | **{one.seconds:.2f}** | {one.cpu:.2f} | {_seconds(one.bare_s)} | {one.note} |"


def _clock(one: Timed) -> str:
    goal = "–" if one.goal_s is None else f"{one.goal_s:.0f}"
    reached = "–" if one.goal_s is None else "yes" if one.seconds <= one.goal_s else "**no**"
    return f"| {one.database} | {one.name} | **{_seconds(one.seconds)}** | {_seconds(one.cpu)} | {_seconds(one.bare_s)} | {goal} | {reached} |"


def _seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}" if value < 1 else f"{value:.2f}"
