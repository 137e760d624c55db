"""Verbs that keep the data safe: backup, restore, move."""

from pathlib import Path
from typing import Annotated

import typer

from crm_core.cli import output
from crm_core.cli.output import AsJson


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command()(backup)
    app.command()(restore)
    app.command()(move)


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
