"""Whoever runs an import to its end: the command line, tests, a job. An edge: it opens the sessions, one per batch."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, TypeVar

from crm_core.access import Actor
from crm_core.db import read_session, write_session
from crm_core.errors import Conflict, CrmError, Invalid
from crm_core.kit.numerals import written
from crm_core.kit.text import clip
from crm_core.models import ImportRun
from crm_core.services.admin.imports import matching, runs, store, undo
from crm_core.services.admin.imports.formats import DATE_ORDERS, DECIMAL_MARKS
from crm_core.services.admin.imports.plan import Column, Mode, Plan, Unknown
from crm_core.services.collaboration import notifications
from crm_core.vocabulary import Choice, FieldKind, ImportState

C = TypeVar("C", bound=Choice)
Progress = Callable[[int, int], None]
"""``progress(done, total)`` after every batch."""


def run_batches(run_id: int, progress: Progress | None = None) -> ImportRun:
    """Run a started import to its end, or from where it stopped. Safe to call again after a kill, and by two processes at once.

    An error that is nobody's row (a full disk, a withdrawn permission) stops the run: its state says so, and it can go on later.
    """
    return _work(run_id, runs.run_batch, lambda run: run.done_rows, progress)


def undo_batches(run_id: int, progress: Progress | None = None) -> ImportRun:
    """Take a run back that is being undone, to its end."""
    return _work(run_id, undo.undo_batch, lambda run: run.total_rows - undo.place(run), progress)


def _work(run_id: int, step: Callable[..., bool], done: Callable[[ImportRun], int], progress: Progress | None) -> ImportRun:
    kept: dict[str, Any] = {}
    while True:
        try:
            with write_session() as session:
                more = step(session, run_id, kept)
                run = session.get_one(ImportRun, run_id)
        except CrmError as error:
            stopped(run_id, error.message)
            raise
        if progress is not None:
            progress(done(run), run.total_rows)
        if not more:
            return run


def stopped(run_id: int, message: str) -> None:
    """Note on the run why it does not go on."""
    with write_session() as session:
        run = session.get_one(ImportRun, run_id)
        if run.state is ImportState.RUNNING:
            run.state, run.message = ImportState.FAILED, clip(message, 1000)
            session.add(run)
            told = {"file": run.file_name, "reason": clip(message, 200), "run": run.id}
            key = f"import:{run.id}:failed:{run.version}"
            notifications.notify(session, run.user_id, kind="import.failed", params=told, dedupe_key=key)


@dataclass(frozen=True)
class Options:
    """What the command line may say; whatever it leaves out is proposed.

    ``mapping``: header → field key, ``""`` to drop it, ``"new"`` or ``"new:<kind>"`` for a custom field. ``constants``: field key → text or
    template. ``factors``: header → multiplier. ``dates``/``decimals``: header → how it is written. ``values``: header → {text: value}.
    ``unknown``: header → reject, add or empty. ``unmapped``: what to do with columns that match nothing, ``drop`` or ``field``.
    """

    mapping: Mapping[str, str] = field(default_factory=dict)
    constants: Mapping[str, str] = field(default_factory=dict)
    factors: Mapping[str, str] = field(default_factory=dict)
    dates: Mapping[str, str] = field(default_factory=dict)
    decimals: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Mapping[str, str | None]] = field(default_factory=dict)
    unknown: Mapping[str, str] = field(default_factory=dict)
    match: tuple[str, ...] | None = None
    mode: str = ""
    unmapped: str = "drop"
    suggestions: bool = True
    empty_clears: bool = False
    fill_short: bool = False
    layout: Mapping[str, Any] = field(default_factory=dict)


def import_file(
    path: Path | str,
    entity_key: str,
    *,
    actor: Actor,
    options: Options | None = None,
    dry_run: bool = False,
    anew: bool = False,
    progress: Progress | None = None,
) -> ImportRun:
    """Import a file from this machine in one go. With ``dry_run`` nothing is kept but the report (``run.report["check"]``).

    Raises Invalid with sentences when the plan can't run, Conflict when the last import of this very file has not ended (``resume_file`` lets it go on)
    unless it shall begin ``anew``. The returned run holds counts by outcome; ``outcome.lines`` gives the file of rows.
    """
    options = options or Options()
    path = Path(path)
    if not (dry_run or anew):
        _refuse_beside_a_half(path, entity_key, actor)
    kept, digest = store.keep_path(path)
    with write_session() as session:
        run = runs._uploaded(session, actor, entity_key, kept, digest, path.name)
        if options.layout:
            run = runs.relayout(session, actor, run.id or 0, options.layout)
        proposed = runs.plan_of(run)
        if not options.suggestions:
            proposed = replace(proposed, columns=tuple(replace(column, values={}) for column in proposed.columns))
        runs.set_plan(session, actor, run.id or 0, adjusted(proposed, runs.profile_of(run), options))
        if options.suggestions:
            runs.accept_suggestions(session, actor, run.id or 0)
        found = runs.problems(session, actor, run.id or 0)
        if found:
            store.forget(kept)
            raise Invalid(" ".join(found))
    with write_session() as session:
        if dry_run:
            return runs.check(session, actor, run.id or 0)
        runs.start(session, actor, run.id or 0)
    return run_batches(run.id or 0, progress)


def resume_file(path: Path | str, entity_key: str, *, actor: Actor, progress: Progress | None = None) -> ImportRun:
    """Let the import of this file that was cut off go on, by the plan that it began with. Raises Conflict when there is none."""
    with write_session() as session:
        half = runs.cut_off(session, actor, entity_key, store.digest_of(Path(path)))
        if half is None:
            raise Conflict("No import of this file was cut off, so there is nothing to go on with.")
        if half.state is ImportState.FAILED:
            runs.resume(session, actor, half.id or 0)
        run_id = half.id or 0
    return run_batches(run_id, progress)


def _refuse_beside_a_half(path: Path, entity_key: str, actor: Actor) -> None:
    with read_session() as session:
        half = runs.cut_off(session, actor, entity_key, store.digest_of(path), empty=False)
    if half is None:
        return
    place = f"after {written(half.done_rows)} of {written(half.total_rows)} rows"
    if half.state is ImportState.FAILED:
        said = f"An import of this file was cut off {place}. Let"
    else:  # nothing tells a process that died from one that works in another window
        said = f"An import of this file has not ended {place}: it may still be running in another window. If it was cut off, let"
    raise Conflict(
        f"{said} it go on with --resume, or begin from the first row with --anew (undo the half one under Import in the app if it should "
        "not stay)."
    )


def adjusted(plan: Plan, seen: Any, options: Options) -> Plan:
    """A proposed plan with what the options say put over it."""
    for what, on_offer in ((options.dates, DATE_ORDERS), (options.decimals, DECIMAL_MARKS)):
        wrong = next((text for text in what.values() if text not in on_offer), None)
        if wrong is not None:
            raise Invalid(f"“{wrong}” is not known here; use one of: {', '.join(on_offer)}.")
    if options.unmapped not in ("drop", "field"):
        raise Invalid("Columns that match no field can be dropped (drop) or become custom fields (field).")
    headers = {column.header for column in plan.columns}
    for name in {*options.mapping, *options.factors, *options.dates, *options.decimals, *options.values, *options.unknown}:
        if name not in headers:
            raise Invalid(f"The file has no column “{name}”. It has: {', '.join(sorted(headers))}.")
    for header, target in options.mapping.items():
        plan = plan.with_column(header, **_target(seen.column(header), target))
    if options.unmapped == "field":
        for header in plan.dropped:
            if header not in options.mapping:
                plan = plan.with_column(header, new=matching.new_field_for(seen.column(header)))
    plan = replace(plan, columns=tuple(_column(column, options) for column in plan.columns))
    known = {column.to for column in plan.columns} | {matching.NEW + column.header for column in plan.columns if column.new}
    match = options.match if options.match is not None else tuple(key for key in plan.match if key in known)
    mode = (
        _one_of(Mode, "both" if options.mode == "upsert" else options.mode)
        if options.mode
        else (plan.mode if match else Mode.CREATE)
    )
    constants = {key: text for key, text in {**plan.constants, **options.constants}.items() if text}
    return replace(
        plan,
        match=match,
        mode=mode,
        constants=constants,
        empty_clears=options.empty_clears,
        fill_short=options.fill_short or plan.fill_short,
    )


def _target(seen: Any, target: str) -> dict[str, Any]:
    if not target.startswith("new"):
        return {"to": target, "new": None}
    fresh = matching.new_field_for(seen)
    _, _, kind = target.partition(":")
    return {"to": "", "new": replace(fresh, kind=_one_of(FieldKind, kind)) if kind else fresh}


def _one_of(choice: type[C], text: str) -> C:
    if text not in choice.options():
        raise Invalid(f"“{text}” is not known here; use one of: {', '.join(choice.options())}.")
    return choice(text)


def _column(column: Column, options: Options) -> Column:
    return replace(
        column,
        factor=options.factors.get(column.header, column.factor),
        date=options.dates.get(column.header, column.date),
        decimal=options.decimals.get(column.header, column.decimal),
        values={**column.values, **options.values.get(column.header, {})},
        unknown=_one_of(Unknown, options.unknown.get(column.header, column.unknown)),
    )
