"""Verbs that keep the data safe and things in hand: backup, restore, move, halt, resume."""

from pathlib import Path
from typing import Annotated, Any

import typer

from crm_core.cli import output
from crm_core.cli.output import AsJson


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command()(backup)
    app.command()(restore)
    app.command()(move)
    app.command()(halt)
    app.command()(resume)


def backup(
    file: Annotated[Path | None, typer.Argument(dir_okay=False, help="File to write; without it one in the data folder.")] = None,
    as_json: AsJson = False,
) -> None:
    """Write a verified backup while Rapport goes on running."""
    output.speak_json(as_json)
    output.quiet()
    output.require_current()
    from crm_core.services.admin import backups

    with output.progress("Backup"):
        made = backups.make(file)
    output.answer(
        f"{made.path} ({made.size_bytes / 2**20:.1f} MB, verified, {made.seconds:.1f} s).", path=str(made.path),
        size_bytes=made.size_bytes, seconds=round(made.seconds, 2), verified=made.verified,
    )  # fmt: skip


def restore(
    file: Annotated[Path, typer.Argument(help="A backup made by “backup”.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: AsJson = False,
) -> None:
    """Put a backup in the place of the database. Stop Rapport first; the old database is kept aside."""
    output.speak_json(as_json)
    output.quiet()
    from crm_core.errors import Conflict
    from crm_core.services.admin import restoring

    if not yes and not as_json and not _agreed(f"Replace the present database by {file}? The old one is kept aside."):
        raise Conflict("Nothing was changed. With --yes nobody is asked.")
    with output.progress("Restoring"):
        aside = restoring.restore(file)
    words = f" The old database lies at {aside}." if aside else ""
    output.answer(f"Restored from {file}.{words}", restored=str(file), aside=str(aside) if aside else None)


def _agreed(question: str) -> bool:
    """The answer; no when nobody is there to give one."""
    try:
        return typer.confirm(question)
    except typer.Abort:
        print()
        return False


def move(
    to: Annotated[str, typer.Option("--to", help="URL of an empty database: postgresql://user:password@host/name")],
    as_json: AsJson = False,
) -> None:
    """Copy the workspace into another, empty database and prove the copy by row counts and checksums. The source stays as it is."""
    output.speak_json(as_json)
    output.quiet()
    from dataclasses import asdict

    from crm_core.services.admin import moving

    done = 0

    with output.progress("Moving") as step:

        def count(table: str, rows: int) -> None:
            nonlocal done
            done += rows
            step(done, None, f"{table}, {done:,} rows")

        report = moving.move(to, progress=count)
    shown = [[each.table, f"{each.rows:,}", each.checksum, "equal" if each.equal else "DIFFERENT"] for each in report if each.rows]
    output.table("Moved", ["Table", "Rows", "Checksum", "Other side"], shown)
    output.answer(
        f"{sum(each.rows for each in report):,} rows in {len(report)} tables, all equal. Now set RAPPORT_DATABASE_URL to the new database.",
        tables=[{**asdict(each), "equal": each.equal} for each in report],
    )


What = Annotated[str, typer.Argument(help="automations or mail")]


def _kind(what: str) -> Any:
    from crm_core.errors import Invalid
    from crm_core.vocabulary import HaltKind

    if what not in HaltKind.options():
        raise Invalid(f"There is no “{what}” to stop. There are: {', '.join(HaltKind.options())}.")
    return HaltKind(what)


def halt(
    what: What, reason: Annotated[str, typer.Option(help="Why; everybody whom it concerns reads it.")], as_json: AsJson = False
) -> None:
    """Stop all automations, or all outgoing mail, within a step. Nothing that comes meanwhile is lost."""
    output.speak_json(as_json)
    output.quiet()
    output.require_current()
    from crm_core import access
    from crm_core.db import write_session
    from crm_core.services.collaboration import halts
    from crm_core.vocabulary import Via

    kind = _kind(what)
    with write_session() as session:
        halts.stop(session, access.system(Via.CLI), kind, reason)
    output.answer(f"{kind.label}: stopped. “resume {what}” switches on again.", halted=what)


def resume(
    what: What,
    skip: Annotated[bool, typer.Option("--skip", help="Automations: what happened meanwhile starts nothing.")] = False,
    end_runs: Annotated[bool, typer.Option("--end-runs", help="Automations: runs whose turn came meanwhile end.")] = False,
    drop: Annotated[
        list[str] | None, typer.Option(help="Mail: a kind whose waiting messages are taken out, such as campaign.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Switch on again what was stopped; what waits is worked off unless an option says otherwise."""
    output.speak_json(as_json)
    output.quiet()
    output.require_current()
    from crm_core import access
    from crm_core.db import write_session
    from crm_core.services.automation import stopping
    from crm_core.services.collaboration import halts
    from crm_core.vocabulary import HaltKind, Via

    kind, actor = _kind(what), access.system(Via.CLI)
    with write_session() as session:
        if kind is HaltKind.MAIL:
            mail = halts.resume_mail(session, actor, drop=drop or ())
            words, values = f"{mail['sent']} messages leave, {mail['dropped']} were taken out.", dict(mail)
        else:
            found = stopping.resume(session, actor, events=not skip, runs=not end_runs)
            words = f"{found.starts} starts {'skipped' if skip else 'to look at'}, {found.runs} runs {'ended' if end_runs else 'go on'}."
            values = {"starts": found.starts, "skipped": skip, "runs": found.runs, "ended": end_runs}
    output.answer(f"{kind.label}: on again. {words}", **values)
