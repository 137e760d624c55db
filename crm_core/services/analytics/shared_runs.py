"""What a shared page shows of an analysis: verdict, figures, charts and tables whose rows rest on enough records. Never single records."""

from markupsafe import Markup
from sqlmodel import Session

from crm_core import format as fmt
from crm_core.errors import NotFound
from crm_core.kit.numerals import as_read
from crm_core.services.analytics import paper, runs
from crm_core.services.analytics.paper import Sheet
from crm_core.services.analytics.shared_run_parts import Draw, paragraphs
from crm_core.services.analytics.shared_run_sheets import SHEETS
from crm_core.services.analytics.sharing import GONE, Opened
from crm_core.vocabulary import RunState


def page(session: Session, opened: Opened, foot: tuple[str, ...], *, icon: str = "") -> str:
    """The document of a finished analysis."""
    actor = opened.actor
    run = runs.get(session, actor, opened.target_id)
    if run.state is not RunState.DONE:
        raise NotFound(GONE)
    on = Draw(session, actor, run)
    lines = [run.verdict, *(line for line in run.warnings if _is_public(run.kind, line))]
    parts = [paper.section("Verdict", paragraphs([as_read(line, actor.locale) for line in lines]))]
    parts += [made for part in SHEETS.get(run.kind, ()) if (made := part(on))]
    facts = f"As of {fmt.day(actor, run.as_of)}, computed {fmt.instant(actor, run.finished_at)}"
    return paper.page(Sheet(opened.label or run.title, "", facts, (), foot), Markup("").join(parts), icon=icon)


def _is_public(kind: str, line: str) -> bool:
    """A warning about one value of a fact (“Owner = …”) may name a colleague, or speak of a single record."""
    return kind != "drivers" or " = " not in line
