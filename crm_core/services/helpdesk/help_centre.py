"""The public help centre: whether there is one, what it is called, and where readers go whom nothing helped."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy.exc import IntegrityError
from sqlmodel import Session, col, select

from crm_core import events
from crm_core.access import Actor, require
from crm_core.errors import Conflict, Invalid
from crm_core.kit.text import clean
from crm_core.models import HelpCentre, LeadForm
from crm_core.ordering import alphabetical
from crm_core.vocabulary import Action

TITLE = "How can we help?"
ONLY = 1
"""The id of the one row."""
CHANGED = "Somebody else changed the help centre meanwhile. Look at the new state and repeat your change."


@dataclass(frozen=True)
class Centre:
    """The settings as a screen shows them. ``version``: 0 while nobody ever saved them."""

    version: int
    is_on: bool
    title: str
    intro: str
    indexed: bool
    form_id: int | None


def get(session: Session, actor: Actor) -> Centre:
    """The settings; of a workspace that never had a help centre, those that it begins with."""
    require(actor, "help_centre", Action.READ)
    row = known(session)
    return Centre(row.version if row.id else 0, row.is_on, row.title or TITLE, row.intro, row.indexed, row.form_id)


def known(session: Session) -> HelpCentre:
    """The row, or one that is not stored yet. For the functions around it, which ask."""
    return session.exec(select(HelpCentre).order_by(col(HelpCentre.id))).first() or HelpCentre()


def is_on(session: Session, actor: Actor) -> bool:
    """Whether articles have public addresses, for everybody who may read articles."""
    require(actor, "article", Action.READ)
    return known(session).is_on


def forms(session: Session, actor: Actor) -> dict[int, str]:
    """The public forms to which the help centre may lead."""
    require(actor, "help_centre", Action.MANAGE)
    rows = session.exec(select(LeadForm.id, LeadForm.name).where(LeadForm.is_active).order_by(alphabetical(LeadForm.name)))
    return {int(key or 0): name for key, name in rows}


def save(session: Session, actor: Actor, values: Mapping[str, Any], *, base_version: int | None = None) -> HelpCentre:
    """Change the help centre: is_on, title, intro, indexed, form_id. Readers see it within a minute. Events: help_centre.saved."""
    require(actor, "help_centre", Action.MANAGE)
    row = known(session)
    if base_version is not None and base_version != (row.version if row.id else 0):
        raise Conflict(CHANGED, rows=[get(session, actor)])
    title, intro = (clean(str(values.get(key, getattr(row, key)) or "")) for key in ("title", "intro"))
    wrong = {
        key: f"At most {most} characters fit."
        for key, text, most in (("title", title, 120), ("intro", intro, 500))
        if len(text) > most
    }
    form_id = values.get("form_id", row.form_id)
    if form_id is not None and form_id not in forms(session, actor):
        wrong["form_id"] = "This form no longer takes anything in. Choose another one."
    if wrong:
        raise Invalid(fields=wrong)
    row.id = row.id or ONLY  # two first savings at the same instant are not two help centres
    row.title, row.intro, row.form_id = title, intro, form_id
    row.is_on, row.indexed = bool(values.get("is_on", row.is_on)), bool(values.get("indexed", row.indexed))
    _keep(session, row)
    events.record(session, actor, "help_centre.saved", entity="help_centre", record_id=row.id)
    return row


def _keep(session: Session, row: HelpCentre) -> None:
    """Write the row; of two first savings at the same instant the second one is told what happened."""
    try:
        with session.begin_nested():
            session.add(row)
            session.flush()
    except IntegrityError as error:
        raise Conflict(CHANGED) from error
