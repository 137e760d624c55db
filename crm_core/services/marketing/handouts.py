"""Lists that leave the house for the other ways out: calls, letters, an ad audience, guests. Hold-outs are never on them."""

import hashlib
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, or_, select, update
from sqlmodel import Session

from crm_core import db, events, house, reads
from crm_core.access import Actor, require, visible
from crm_core.entities import entity
from crm_core.errors import Conflict, Invalid
from crm_core.kit.clock import utcnow
from crm_core.kit.csvio import to_csv, to_xlsx
from crm_core.kit.text import email_key, phone_key
from crm_core.models import Campaign
from crm_core.services.customers import consent
from crm_core.services.marketing import audience, plans, ways
from crm_core.services.marketing.audience import MEMBERS, Aim
from crm_core.services.marketing.campaigns import OUT
from crm_core.services.sales import promotion_codes
from crm_core.vocabulary import Action, MemberStatus, Outlet, PlanState, RecipientStep

FORMATS = ("csv", "xlsx")
_BATCH = 2_000
_BEFORE_ANSWER = (MemberStatus.PLANNED, MemberStatus.SENT, MemberStatus.OPENED, MemberStatus.CLICKED, MemberStatus.DECLINED)
COLUMNS: dict[Outlet, tuple[str, ...]] = {
    Outlet.CALL_LIST: ("Name", "Company", "Job title", "Phone", "City", "Best time", "Owner"),
    Outlet.MAIL_MERGE: ("Name", "Salutation", "Company", "Street", "Postcode", "City", "Country", "E-mail"),
    Outlet.AD_AUDIENCE: ("sha256_email", "sha256_phone"),
    Outlet.EVENT: ("Name", "Company", "Job title", "E-mail", "City"),
    Outlet.EMAIL: ("Name", "Company", "E-mail"),
}
_FIELDS = {
    "Name": "name", "Phone": "phone", "E-mail": "email", "sha256_email": "email", "sha256_phone": "phone", "Job title": "job_title", "City": "city",
    "Salutation": "salutation", "Best time": "preferred_hours", "Country": "country",
}  # fmt: skip
_OF_COMPANY = {"Company": "name", "Street": "street", "Postcode": "postcode"}


def export(session: Session, actor: Actor, campaign_id: int, *, form: str = "csv", outlet: Outlet | None = None) -> bytes:
    """The list of a launched campaign, or of one of its ways. Everybody on it passes the gates again now; they count as addressed from here on.
    Events: campaign.listed."""
    require(actor, "contact", Action.EXPORT)
    plan = plans.get(session, actor, campaign_id)
    if plan.launched_at is None or (outlet or plan.outlet) is Outlet.EMAIL:
        raise Conflict("Launch the campaign first: the list is made of the people who were chosen then.")
    aim = ways.of(session, actor, plan, outlet or plan.outlet)
    if plan.state is PlanState.STOPPED:
        raise Conflict("This campaign was stopped.")
    if form not in FORMATS:
        raise Invalid("Choose CSV or XLSX.")
    hidden = [column for column in COLUMNS[aim.outlet] if _hidden(session, actor, aim, column)]
    if hidden:
        raise Conflict(f"Your role does not see {', '.join(hidden).lower()}, so it can't take this list out of the house.")
    coupon = plan.promotion_id if aim.outlet is not Outlet.AD_AUDIENCE else None
    if coupon and (words := promotion_codes.usable(session, coupon)):
        raise Conflict(words)
    rows = list(_rows(session, actor, aim, coupon, plan.launched_at))
    made = (to_csv if form == "csv" else to_xlsx)((*COLUMNS[aim.outlet], *(("Code",) if coupon else ())), [row for _, row in rows])
    _note(session, actor, [member_id for member_id, _ in rows])
    _read(session, actor, aim, [member_id for member_id, _ in rows])
    events.record(session, actor, "campaign.listed", session.get(Campaign, campaign_id), data={"count": len(rows)})
    return made


def _hidden(session: Session, actor: Actor, aim: Aim, column: str) -> bool:
    """Whether a column would tell something that is hidden from the actor, of whom the list is about."""
    return any(
        actor.masked(*source) and _any(session, aim, key)
        for key in consent.PEOPLE
        if (source := _source(aim.outlet, key, column)) is not None
    )


def _source(outlet: Outlet, key: str, column: str) -> tuple[str, str] | None:
    """Of which record and field a column is made for contacts (or leads); None for what can't be hidden, or stays empty."""
    if column in _OF_COMPANY or (outlet is Outlet.MAIL_MERGE and column in ("City", "Country") and key == "contact"):
        if key == "contact":
            return "account", _OF_COMPANY.get(column) or _FIELDS[column]
        return (key, "company") if column == "Company" else None
    return (key, _FIELDS[column]) if column in _FIELDS else None


def _any(session: Session, aim: Aim, key: str) -> bool:
    mine = (MEMBERS.c.campaign_id == aim.campaign_id, MEMBERS.c[f"{key}_id"].is_not(None), listed(aim.outlet))
    return session.execute(select(MEMBERS.c.id).where(*mine).limit(1)).first() is not None


def _note(session: Session, actor: Actor, member_ids: list[int]) -> None:
    require(actor, "campaign", Action.READ)
    for at in range(0, len(member_ids), _BATCH):
        part = and_(MEMBERS.c.id.in_(member_ids[at : at + _BATCH]), MEMBERS.c.status == MemberStatus.PLANNED)
        session.execute(update(MEMBERS).where(part).values(status=MemberStatus.SENT, updated_at=utcnow()))
    db.bump(session, MEMBERS.name)


def _read(session: Session, actor: Actor, aim: Aim, member_ids: list[int]) -> None:
    """Whose data left the house with the list."""
    for key in consent.PEOPLE:
        link = MEMBERS.c[f"{key}_id"]
        parts = [member_ids[at : at + _BATCH] for at in range(0, len(member_ids), _BATCH)]
        people = [
            one
            for part in parts
            for one in session.execute(select(link).where(MEMBERS.c.id.in_(part), link.is_not(None))).scalars()
        ]
        reads.exported(session, actor, key, people, words=f"Campaign list: {aim.outlet.label}")


def _rows(session: Session, actor: Actor, aim: Aim, coupon: int | None, since: datetime) -> Iterator[tuple[int, list[Any]]]:
    """Member and cells; with a promotion its code behind them, each person's own and the same whenever the list is taken."""
    region = house.region(session)
    for key in consent.PEOPLE:
        table = entity(key).table
        gates = audience.gates(aim, key, table, utcnow(), consent.rules(session, actor))
        statement = _statement(actor, aim, key, table).where(*gates.values())
        rows = session.execute(statement.order_by(MEMBERS.c.id)).all()
        ids = [row.person_id for row in rows] if coupon else []
        codes = promotion_codes.draw(session, coupon, key, ids, campaign_id=aim.campaign_id, since=since) if coupon and ids else {}
        for row in rows:
            cells = [_cell(row._mapping, column, region) for column in COLUMNS[aim.outlet]]
            yield row.member_id, [*cells, *([codes[row.person_id]] if coupon else [])]


def _statement(actor: Actor, aim: Aim, key: str, table: Any) -> Any:
    accounts, users = entity("account").table, entity("user").table
    contact = key == "contact"
    joined = MEMBERS.join(table, table.c.id == MEMBERS.c[f"{key}_id"]).outerjoin(users, users.c.id == table.c.owner_id)
    joined = joined.outerjoin(accounts, accounts.c.id == table.c.account_id) if contact else joined
    wanted = {
        "Name": table.c.name, "Company": accounts.c.name if contact else table.c.company, "Job title": table.c.job_title, "Phone": table.c.phone,
        "E-mail": table.c.email, "City": accounts.c.city if contact and aim.outlet is Outlet.MAIL_MERGE else table.c.city,
        "Country": accounts.c.country if contact and aim.outlet is Outlet.MAIL_MERGE else table.c.country, "Owner": users.c.name,
    }  # fmt: skip
    if contact:
        wanted |= {
            "Salutation": table.c.salutation,
            "Best time": table.c.preferred_hours,
            "Street": accounts.c.street,
            "Postcode": accounts.c.postcode,
        }
    columns = [column.label(name) for name, column in wanted.items()]
    return (
        select(MEMBERS.c.id.label("member_id"), table.c.id.label("person_id"), *columns)
        .select_from(joined)
        .where(MEMBERS.c.campaign_id == aim.campaign_id, listed(aim.outlet), visible(actor, key, table, Action.EXPORT))
    )


def listed(outlet: Outlet) -> Any:
    """SQL: the members of a campaign who are on the list of one of its ways."""
    several = and_(
        audience.by_way(outlet), MEMBERS.c.step != RecipientStep.HOLDOUT, func.coalesce(MEMBERS.c.skip_reason, "") != OUT
    )
    return or_(and_(MEMBERS.c.ways.is_(None), MEMBERS.c.step == RecipientStep.LISTED), several)


def _cell(row: Any, column: str, region: str) -> Any:
    if column == "sha256_email":
        return _hash(email_key(row["E-mail"] or ""))
    if column == "sha256_phone":
        return _hash(phone_key(row["Phone"], region) if row["Phone"] else "")
    return row.get(column) or ""


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest() if text else ""


def called(session: Session, campaign_id: int, entity_key: str, record_id: int, status: MemberStatus) -> None:
    """What a call says of somebody on the call list of a campaign: addressed, responded or declined. Who responded stays one who did, unless they decline;
    the instant of the first answer is kept; a no is none. Part of logging the call, which asks."""
    now = utcnow()
    member = and_(MEMBERS.c.campaign_id == campaign_id, MEMBERS.c[f"{entity_key}_id"] == record_id)
    further = {
        MemberStatus.SENT: (MemberStatus.PLANNED,),
        MemberStatus.RESPONDED: _BEFORE_ANSWER,
        MemberStatus.DECLINED: (*_BEFORE_ANSWER, MemberStatus.RESPONDED),
    }
    values: dict[str, Any] = {"status": status, "updated_at": now}
    if status is MemberStatus.RESPONDED:
        values["responded_at"] = func.coalesce(MEMBERS.c.responded_at, now)
    session.execute(update(MEMBERS).where(member, MEMBERS.c.status.in_(further[status])).values(**values))
    db.bump(session, MEMBERS.name)
