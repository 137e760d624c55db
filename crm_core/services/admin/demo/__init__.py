"""The demo company: a whole made-up workspace to look around in, built in one go and removed in one go.

It is deterministic: the same scale, seed and day give the same rows. Everything happens relative to the day of building. Nobody in it has a
password, every address ends in ``.example`` and no phone number can be dialled. What was planted for analyses to find is in ``scales.Truth``.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import numpy as np
from sqlalchemy import delete, func, select, text, update
from sqlmodel import Session

from crm_core import db, summaries
from crm_core.access import Actor, require
from crm_core.errors import Conflict, Invalid
from crm_core.kit import clock
from crm_core.models import (
    Account,
    Base,
    CampaignChannel,
    CampaignPlan,
    CampaignVariant,
    Contact,
    Deal,
    Event,
    Lead,
    LeadStatus,
    Organisation,
    PickOption,
    Pipeline,
    Role,
    Stage,
    User,
    UserRole,
)
from crm_core.services.admin import setup
from crm_core.services.admin.demo import (
    asking,
    assigning,
    automating,
    boards,
    booking,
    buying,
    calling,
    customers,
    discounting,
    gating,
    groups,
    handing,
    helping,
    loader,
    logbook,
    mailing,
    marketing,
    outreach,
    promising,
    selling,
    serving,
    staff,
    targets,
    working,
    writing,
)  # fmt: skip
from crm_core.services.admin.demo.draft import Draft
from crm_core.services.admin.demo.scales import SIZES, Truth, truth
from crm_core.services.admin.demo.words import words
from crm_core.services.collaboration import reminders
from crm_core.vocabulary import Action

Progress = Callable[[float, str], None]
"""``progress(share, step)``: how much is done, from 0 to 1, and a word for people about what comes now."""

LOCK = 7_205_759_403
KEPT = ("table_version", "worker_heartbeat", "backup_run")
"""Tables that survive the removal: they tell about the installation, not about the company."""
CUSTOM_FIELDS = (
    ("account", "x_contract", "Contract", "choice", '["Monthly", "Yearly"]', 0),
    ("account", "x_sites", "Sites", "integer", "[]", 1),
)
WRITE_ORDER = (
    "team", "app_user", "user_role", "user_closure", "custom_field", "product_category", "product", "account", "contact",
    "contact_point", "handover", "handover_item", "campaign", "campaign_channel", "deal", "deal_line", "deal_contact", "stage_event", "lead", "consent", "outreach_rules", "mail_delivery", "campaign_plan", "campaign_variant", "campaign_member",
    "touchpoint", "sales_order", "order_line", "ticket", "ticket_message", "activity", "task", "event_log", "search_document", "match_key",
)  # fmt: skip

STEPS = {
    "app_user": "People and teams…", "product": "Products…", "account": "Customers…", "contact": "Customers…", "deal": "Deals…",
    "stage_event": "Deals…", "lead": "Leads…", "campaign_member": "Campaigns…", "touchpoint": "Campaigns…", "sales_order": "Orders…",
    "order_line": "Orders…", "ticket": "Tickets…", "activity": "What people did…", "task": "What people did…",
    "event_log": "What people did…", "search_document": "Search…", "match_key": "Search…",
}  # fmt: skip


@dataclass(frozen=True)
class DemoSummary:
    """What was built: ``rows`` per table, ``people`` a first person per role key (to sign in as), and how long it took."""

    name: str
    scale: str
    seed: int
    rows: dict[str, int]
    people: dict[str, int]
    seconds: float = field(compare=False, default=0.0)


def build(*, scale: str = "small", seed: int = 1, progress: Progress | None = None) -> DemoSummary:
    """Fill an empty workspace with the demo company, in one transaction: a killed build leaves nothing.

    A job of its own like an import, so it opens its session itself. Raises Invalid for an unknown scale and Conflict when the workspace is
    in use.
    """
    if scale not in SIZES:
        raise Invalid(f"There is no scale “{scale}”. Choose one of: {', '.join(SIZES)}.")
    began = perf_counter()
    with db.write_session() as session:
        _claim(session)
        setup.install(session)
        spec = words("companies")
        organisation = setup.create_organisation(
            session, spec["name"], currency=spec["currency"], timezone=spec["timezone"], is_demo=True
        )
        organisation.tax_rate_pct = selling.USUAL_TAX
        _competitors(session)
        session.flush()
        draft = make(session, scale, seed)
        rows = _write(session, draft, progress)
        summaries.mark_all(session)
        gating.add(session)
        promising.add(session, spec["timezone"])
        written = helping.add(session, seed, spec["timezone"])
        written += discounting.add(session, seed, spec["timezone"])
        asking.add(session, seed)
        booking.add(session, spec["timezone"])
        found = people(session)
        setup.create_views(session, found["administrator"])
        boards.add(session, found)
        letters = mailing.add(session, found)
        writing.add(session, found)
        made = groups.add(session, found)
        writing.plan(session, found)
        calling.add(session, found)
        rows["search_document"] += made + written
        assigning.add(session, count_points=scale == "small")
        if scale != "large":  # the worker's first evening reads the past of 200,000 deals, batch by batch
            targets.add(session, clock.today(spec["timezone"]))
            reminders.remind_now(session, clock.utcnow())  # whoever comes in finds the bell ringing for what is due
            reminders.unanswered_leads(session, clock.today(spec["timezone"]))
            reminders.articles_to_review(session, clock.today(spec["timezone"]))
        automating.add(session, found)
        grown: dict[str, Any] = {
            "event_log": Event, "campaign_plan": CampaignPlan, "campaign_variant": CampaignVariant, "campaign_channel": CampaignChannel,
        }  # fmt: skip
        for name, model in grown.items():  # what the steps above added to what was drafted
            rows[name] = session.execute(select(func.count(_c(model).id))).scalar_one()
    mailing.lay_down(letters)
    if (
        scale != "small"
    ):  # the few rows of the small one are summed as they are until the worker's next minute: nobody waits at the door
        summaries.refresh()
    return DemoSummary(spec["name"], scale, seed, rows, found, perf_counter() - began)


def make(session: Session, scale: str, seed: int) -> Draft:
    """Draft the whole company in memory. ``session``: an installed workspace, for the ids of its roles, stages and lead statuses."""
    draft = Draft(seed=seed, sizes=SIZES[scale], now=clock.utcnow())
    roles = {key: role_id for key, role_id in session.execute(select(_c(Role).key, _c(Role).id)).all() if key}
    staff.add(draft, roles)
    draft.put("custom_field", **_custom_fields())
    selling.add_products(draft)
    customers.add(draft)
    selling.add_deals(draft, _stages(session))
    buying.add_orders(draft)
    marketing.add_campaigns(draft)
    marketing.add_leads(draft, dict(session.execute(select(_c(LeadStatus).kind, _c(LeadStatus).id)).tuples().all()))
    marketing.add_members(draft)
    marketing.add_touchpoints(draft)
    outreach.add(draft)
    serving.add(draft)
    working.add_activities(draft)
    working.add_tasks(draft)
    handing.add(draft)
    helping.draft_events(draft)
    discounting.draft_events(draft)
    logbook.add_events(draft)
    logbook.add_search(draft)
    logbook.add_match_keys(draft)
    return draft


def remove(session: Session, actor: Actor) -> None:
    """Leave the demo: everything in it goes, the visitor's own additions too, and the welcome screen shows again.

    Needs the permission to manage the workspace. Raises Conflict in a workspace that is not the demo: real data can't be removed this way.
    """
    require(actor, "organisation", Action.MANAGE)
    found = setup.organisation(session)
    if found is None or not found.is_demo:
        raise Conflict("This workspace holds your own data, not the demo company. Nothing was removed.")
    _empty(session)
    setup.install(session)


def people(session: Session) -> dict[str, int]:
    """The first active person of each built-in role, for the door that lets a visitor in: role key → user id."""
    query = (
        select(_c(Role).key, func.min(_c(User).id))
        .join(UserRole.__table__, UserRole.__table__.c.role_id == _c(Role).id)  # type: ignore[attr-defined]
        .join(User.__table__, _c(User).id == UserRole.__table__.c.user_id)  # type: ignore[attr-defined]
        .where(_c(User).is_active, _c(Role).key.is_not(None))
        .group_by(_c(Role).key)
    )
    return {str(key): int(user_id) for key, user_id in session.execute(query)}


def _c(model: Any) -> Any:
    return model.__table__.c


def _claim(session: Session) -> None:
    """Let one build in at a time, and only into an empty workspace."""
    if not db.is_sqlite(session):
        session.execute(text("select pg_advisory_xact_lock(:key)"), {"key": LOCK})
    for model in (Organisation, User, Account, Contact, Lead, Deal):
        if session.execute(select(_c(model).id).limit(1)).first() is not None:
            raise Conflict("This workspace is already in use. The demo company needs an empty one; nothing was changed.")


def _stages(session: Session) -> dict[str, Any]:
    """The default pipeline's stages as the draft needs them."""
    pipeline = session.execute(select(_c(Pipeline).id).order_by(_c(Pipeline).is_default.desc(), _c(Pipeline).id)).scalars().first()
    rows = session.execute(select(Stage.__table__).where(_c(Stage).pipeline_id == pipeline).order_by(_c(Stage).position)).all()  # type: ignore[attr-defined]
    opens = [row for row in rows if row.kind == "open"]
    return {
        "pipeline": pipeline,
        "open": [row.id for row in opens],
        "pct": [row.probability_pct for row in opens],
        "won": next(row.id for row in rows if row.kind == "won"),
        "lost": next(row.id for row in rows if row.kind == "lost"),
        "names": {row.id: row.name for row in rows},
    }


def _custom_fields() -> dict[str, list[Any]]:
    keys = ("entity", "key", "label", "kind", "options", "position")
    return dict(zip(keys, (list(column) for column in zip(*CUSTOM_FIELDS, strict=True)), strict=True))


def _competitors(session: Session) -> None:
    """The made-up competitors join the editable list."""
    known = set(session.execute(select(_c(PickOption).value).where(_c(PickOption).field_key == "competitor")).scalars())
    names = [name for name in words("texts")["competitors"] if name not in known]
    session.add_all(PickOption(entity="deal", field_key="competitor", value=name, position=10 + n) for n, name in enumerate(names))


def _write(session: Session, draft: Draft, progress: Progress | None) -> dict[str, int]:
    total = sum(_length(columns) for columns in draft.tables.values())
    done = 0

    def step(table: str, rows: int) -> None:
        nonlocal done
        done += rows
        if progress is not None:
            progress(done / total, STEPS.get(table, "Writing…"))

    with loader.room(session, total):
        rows = {name: loader.insert(session, name, draft.tables.pop(name), draft.instant, step) for name in WRITE_ORDER}
        loader.finish(session, list(rows))
    return rows


def _length(columns: dict[str, Any]) -> int:
    return next(len(values) for values in columns.values() if isinstance(values, np.ndarray | list))


def _empty(session: Session) -> None:
    tables = [table for table in reversed(Base.metadata.sorted_tables) if table.name not in KEPT]
    if db.is_sqlite(session):
        for table in tables:
            for column in table.c:
                if any(key.column.table is table for key in column.foreign_keys):
                    session.execute(update(table).values({column.key: None}).where(column.is_not(None)))
        for table in tables:
            session.execute(delete(table))
    else:
        session.execute(text(f"TRUNCATE {', '.join(table.name for table in tables)} RESTART IDENTITY"))
    session.expunge_all()
    db.bump(session, *(table.name for table in tables))


__all__ = ["SIZES", "DemoSummary", "Truth", "build", "make", "people", "remove", "truth"]
