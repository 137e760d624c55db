"""The import verb: options from a file and from the command line, the driver of the import service, the outcome as a file."""

import json
from dataclasses import fields
from pathlib import Path
from typing import Annotated, Any

import typer

from crm_core.cli import output
from crm_core.cli.output import AsJson

Outcome = Annotated[Path | None, typer.Option(help="Write every row with what became of it, and why, to this CSV file.")]
OptionsFile = Annotated[
    Path | None,
    typer.Option("--options", help="JSON file: mapping, values, dates, match, mode, unmapped … as docs/import.md says."),
]
Mapped = Annotated[
    list[str], typer.Option("--map", help="Header=field; an empty field drops the column, “new” makes a custom field.")
]


def import_(
    entity: Annotated[str, typer.Argument(help="What the rows are: account, contact, lead, deal, product, order, user …")],
    file: Annotated[Path, typer.Argument(dir_okay=False, help="CSV or XLSX.")],
    options: OptionsFile = None,
    mapped: Mapped = [],  # noqa: B006  (typer copies it)
    match: Annotated[str, typer.Option(help="Fields that together find the record to update, separated by commas.")] = "",
    mode: Annotated[str, typer.Option(help="create, update or both; without it what the match key suggests.")] = "",
    unmapped: Annotated[str, typer.Option(help="Columns that match no field: drop or field (make custom fields of them).")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="The same work with nothing kept.")] = False,
    outcome: Outcome = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Let an import of this file that was cut off go on where it stopped.")
    ] = False,
    anew: Annotated[
        bool, typer.Option("--anew", help="Begin from the first row, though an import of this file was cut off.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Import a file by the same rules as the wizard in the app. Every row is accounted for; ends with 5 if some were rejected."""
    output.speak_json(as_json)
    output.quiet()
    output.require_current()
    if resume:
        choices = {"--options": options, "--map": mapped, "--match": match, "--mode": mode, "--unmapped": unmapped}
        _refuse_beside_resume({**choices, "--dry-run": dry_run, "--anew": anew})
    from crm_core import access
    from crm_core.services.admin.imports import driver
    from crm_core.vocabulary import Via

    values = _read(options, {each.name for each in fields(driver.Options)})
    values |= {key: value for key, value in {"mode": mode, "unmapped": unmapped}.items() if value}
    values["mapping"] = {**values.get("mapping", {}), **_pairs(mapped)}
    if match or "match" in values:
        values["match"] = tuple(_words(match) or values["match"])
    actor = access.system(Via.CLI)
    with output.progress(f"Importing {file.name}") as step:
        if resume:
            run = driver.resume_file(file, entity, actor=actor, progress=step)
        else:
            chosen = driver.Options(**values)
            run = driver.import_file(file, entity, actor=actor, options=chosen, dry_run=dry_run, anew=anew, progress=step)
    counts = _counts(run, dry_run)
    if outcome is not None and not dry_run:
        _write_outcome(run.id or 0, outcome, actor)
    _tell(run, counts, dry_run)
    if counts["rejected"]:
        output.end(output.REJECTED)


def _refuse_beside_resume(given: dict[str, Any]) -> None:
    from crm_core.errors import Invalid

    names = [name for name, value in given.items() if value]
    if names:
        raise Invalid(
            f"With --resume an import goes on by the plan that it began with: leave out {', '.join(names)}, or leave out --resume and begin "
            "from the first row with --anew."
        )


def _read(path: Path | None, known: set[str]) -> dict[str, Any]:
    from crm_core.errors import Invalid

    if path is None:
        return {}
    try:
        values = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise Invalid(f"{path} is not a readable JSON file: {error}.") from error
    if not isinstance(values, dict) or set(values) - known:
        raise Invalid(f"{path} may hold: {', '.join(sorted(known))}.")
    return values


def _pairs(mapped: list[str]) -> dict[str, str]:
    from crm_core.errors import Invalid

    wrong = [each for each in mapped if "=" not in each]
    if wrong:
        raise Invalid(f"“{wrong[0]}” should read Header=field.")
    return {header: field for header, _, field in (each.rpartition("=") for each in mapped)}


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _counts(run: Any, dry_run: bool) -> dict[str, int]:
    names = ("created", "updated", "unchanged", "rejected")
    if dry_run:
        outcomes = run.report["check"]["outcomes"]
        return {name: int(outcomes.get(name, 0)) for name in names}
    return {name: getattr(run, name) for name in names}


def _write_outcome(run_id: int, path: Path, actor: Any) -> None:
    from crm_core.db import read_session
    from crm_core.errors import Unavailable
    from crm_core.services.admin.imports import outcome

    try:
        with path.open("w", encoding="utf-8-sig", newline="") as file, read_session() as session:
            file.writelines(outcome.lines(session, actor, run_id))
    except OSError as error:
        raise Unavailable(
            f"The import is done, but {path} could not be written: {error.strerror or error}.", permanent=True
        ) from error


def _tell(run: Any, counts: dict[str, int], dry_run: bool) -> None:
    report = run.report.get("check") or run.report.get("result") or {}
    reasons = report.get("reasons", [])
    if counts["rejected"] and reasons:
        output.table("Rejected", ["Rows", "Why"], [[f"{count:,}", text] for text, count in reasons])
    words = ", ".join(f"{count:,} {name}" for name, count in counts.items())
    tail = " Nothing was kept (dry run)." if dry_run else ""
    output.answer(
        f"{sum(counts.values()):,} rows: {words}.{tail}", rows=sum(counts.values()), **counts, dry_run=dry_run, run_id=run.id,
        state=run.state.value, reasons=reasons,
    )  # fmt: skip
