"""Verbs on the data: migrate, demo, export, check; import has a file of its own."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from crm_core.cli import output
from crm_core.cli.importing import import_
from crm_core.cli.output import AsJson


class Scale(StrEnum):
    SMALL = "small"
    MEDIUM = "medium"
    LARGE = "large"


def register(app: typer.Typer) -> None:
    """Add the verbs."""
    app.command()(migrate)
    app.command()(demo)
    app.command("import")(import_)
    app.command()(export)
    app.command()(check)


def migrate(
    bare: Annotated[bool, typer.Option(help="Only the tables: no roles, pipeline or lists (for a move from elsewhere).")] = False,
    as_json: AsJson = False,
) -> None:
    """Bring the database to the shape that this version expects, and install the defaults that are missing."""
    output.speak_json(as_json)
    output.quiet()
    from crm_core import schema
    from crm_core.db import write_session
    from crm_core.services.admin import setup
    from crm_core.settings import settings

    before = schema.current() if _exists() else None
    schema.upgrade()
    if not bare:
        with write_session() as session:
            setup.install(session)
    after = schema.current()
    done = f"Migrated from {before or 'an empty database'} to {after}." if before != after else f"Up to date ({after})."
    output.answer(done, before=before, after=after, sqlite=settings().is_sqlite)


def _exists() -> bool:
    from sqlalchemy.engine import make_url

    from crm_core.settings import settings

    return not settings().is_sqlite or Path(make_url(settings().url).database or "").exists()


def demo(
    scale: Annotated[Scale, typer.Option(help="small: a look around; large: 200,000 customers, a million orders.")] = Scale.SMALL,
    seed: Annotated[int, typer.Option(help="The same seed on the same day makes the same company.")] = 1,
    as_json: AsJson = False,
) -> None:
    """Fill an empty workspace with the made-up demo company."""
    output.speak_json(as_json)
    output.quiet()
    from crm_core import schema
    from crm_core.db import write_session
    from crm_core.services.admin import demo as company
    from crm_core.services.admin.demo import first_looks

    if not schema.is_current():
        schema.upgrade()
    with output.progress("Demo company") as step:
        made = company.build(scale=scale.value, seed=seed, progress=lambda share, words: step(share, 1.0, words))
    if scale is not Scale.LARGE:  # there every analysis takes the worker a minute or more: whoever wants one asks for it
        with write_session() as session:
            first_looks.later(session)
    rows = sum(made.rows.values())
    output.table(made.name, ["Table", "Rows"], [[name, f"{count:,}"] for name, count in made.rows.items()])
    output.answer(
        f"{made.name}: {rows:,} rows in {made.seconds:.1f} s.", name=made.name, scale=made.scale, seed=made.seed, rows=made.rows,
        people=made.people, seconds=round(made.seconds, 2),
    )  # fmt: skip


def export(
    entity: Annotated[
        str, typer.Argument(help="account, contact, lead, deal, product, order, ticket, campaign, activity or task.")
    ],
    file: Annotated[Path, typer.Argument(dir_okay=False, help="CSV file to write; “-” for standard output.")],
    columns: Annotated[str, typer.Option(help="Field keys, separated by commas; without it all fields.")] = "",
    filter_: Annotated[str, typer.Option("--filter", help="A filter as JSON, as in the address of a list.")] = "",
    as_json: AsJson = False,
) -> None:
    """Write records to a CSV file (UTF-8, one column per field, safe to open in a spreadsheet)."""
    output.speak_json(as_json)
    output.quiet()
    output.require_current()
    from crm_core.cli.exporting import write_csv

    with output.progress("Exporting") as step:
        rows = write_csv(entity, file, [key.strip() for key in columns.split(",") if key.strip()], filter_, step)
    if str(file) != "-":
        output.answer(f"{rows:,} rows in {file}.", rows=rows, file=str(file))


def check(
    repair: Annotated[
        bool, typer.Option("--repair", help="Compute daily figures and the search index anew where they are wrong.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Prove that the database is sound: shape, references, figures against records, audit seals, search. Ends with 6 if not."""
    output.speak_json(as_json)
    output.quiet()
    output.require_current()
    from dataclasses import asdict

    from crm_core.db import read_session
    from crm_core.services.admin import health

    found = []
    with output.progress("Checking") as step, read_session() as session:
        for number, each in enumerate(health.thorough(session), 1):
            found.append(each)
            step(number, 6, each.name)
    wrong = [each.name for each in found if each.state == "wrong"]
    output.table("Check", ["", "What", "Finding"], [["✔" if each.state == "ok" else "✘", each.name, each.detail] for each in found])
    repaired = health.repair(wrong) if repair and wrong else []
    words = f"{len(wrong)} of {len(found)} are wrong." if wrong else "All is well."
    output.answer(
        words + (f" Repaired: {', '.join(repaired)}. Check again." if repaired else ""), checks=[asdict(each) for each in found],
        wrong=wrong, repaired=repaired,
    )  # fmt: skip
    if wrong:
        output.end(output.WRONG)
