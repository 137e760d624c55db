"""What surveys say: scores with their interval, the share that answered, courses and groups, and the answers behind every number.

Only answers about records that the actor may see count for them; groups of fewer than five answers show no score.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import and_, case, func, or_
from sqlalchemy import select as pick
from sqlmodel import Session

from crm_core import events, lists, reads
from crm_core.access import Actor, require, visible
from crm_core.entities import entity
from crm_core.errors import Invalid
from crm_core.kit import clock, csvio
from crm_core.kit.text import sort_key
from crm_core.models import Contact, Survey, SurveyAnswer, SurveyInvitation
from crm_core.services.feedback import replies, surveys
from crm_core.services.feedback.survey_rules import LEAST_ANSWERS, SCALES
from crm_core.summary_marks import bounds, day_of, zone_of
from crm_core.vocabulary import Action, Scope, SurveyKind
from ml import lift, loyalty
from ml.loyalty import Score

A: Any = SurveyAnswer.__table__  # type: ignore[attr-defined]
I: Any = SurveyInvitation.__table__  # type: ignore[attr-defined]  # noqa: E741
DIMENSIONS = {
    "owner_id": "Person",
    "team_id": "Team",
    "category": "Category",
    "account_kind": "Kind of account",
    "industry": "Industry",
}
MONTHS = 12
EXPORT_MOST = 50_000


@dataclass(frozen=True)
class Group:
    """One group's answers. ``score``: None for fewer than five."""

    key: Any
    title: str
    n: int
    score: Score | None


@dataclass(frozen=True)
class Asked:
    """How many of a group's people that were asked gave a score. ``low``, ``high``: 95 % Wilson interval of the share; ``differs``: "less" or "more" often
    than all others by more than chance explains, empty where that can't be told."""

    key: Any
    title: str
    asked: int
    answered: int
    low: float
    high: float
    differs: str


@dataclass(frozen=True)
class Overview:
    """A survey's figures for one person and period."""

    score: Score
    asked: int
    answered: int
    waiting: int
    opened: int
    complete: int
    skipped: Mapping[str, int]
    counts: Mapping[int, int]
    months: tuple[Group, ...]

    @property
    def enough(self) -> bool:
        return self.score.n >= LEAST_ANSWERS


@dataclass(frozen=True)
class Said:
    """One answer as a list shows it. ``who`` is empty for people who are hidden from the reader."""

    id: int
    at: datetime
    score: int
    comment: str
    who: str
    contact_id: int | None
    entity: str
    record_id: int
    task_id: int | None


def beginning(session: Session, actor: Actor, days: int) -> datetime | None:
    """When a period of so many days up to today begins, by the workspace's days; None for 0: from the beginning."""
    require(actor, "survey", Action.READ)
    zone = zone_of(session)
    return bounds(day_of(clock.utcnow(), zone) - timedelta(days=days), zone)[0] if days else None


def overview(session: Session, actor: Actor, survey_id: int, *, since: datetime | None = None) -> Overview:
    """The score with its interval, who was asked and answered, and the last twelve months."""
    survey = surveys.get(session, actor, survey_id)
    seen = replies.in_sight(actor, survey)
    counts = _by_score(session, survey, seen, since)
    asked = [I.c.survey_id == survey.id, seen, *([I.c.sent_at >= since] if since else [])]
    sent = int(session.execute(pick(func.count()).select_from(I).where(*asked, I.c.sent_at.is_not(None))).scalar_one())
    answered = int(
        session.execute(pick(func.count()).select_from(I.join(A, A.c.invitation_id == I.c.id)).where(*asked)).scalar_one()
    )
    opened = int(session.execute(pick(func.count()).select_from(I).where(*asked, I.c.opened_at.is_not(None))).scalar_one())
    whole = pick(func.count()).select_from(I.join(A, A.c.invitation_id == I.c.id)).where(*asked, A.c.completed_at.is_not(None))
    left_out = session.execute(
        pick(I.c.skipped, func.count()).where(I.c.survey_id == survey.id, seen, I.c.skipped != "").group_by(I.c.skipped)
    )
    return Overview(
        _score(survey.kind, counts), sent, answered, sent - answered, opened, int(session.execute(whole).scalar_one()), {str(key): int(n) for key, n in left_out}, counts,
        tuple(_months(session, survey, seen, since)),
    )  # fmt: skip


def _score(kind: SurveyKind, counts: Mapping[int, int]) -> Score:
    """The score of a kind with its interval."""
    if kind is SurveyKind.NPS:
        return loyalty.net_promoter(counts)
    if kind is SurveyKind.CSAT:
        return loyalty.satisfied(counts, at_least=SCALES[kind].content_from)
    return loyalty.mean_score(counts, most=SCALES[kind].high)


def groups(session: Session, actor: Actor, survey_id: int, dimension: str, *, since: datetime | None = None) -> list[Group]:
    """The score per person, team, category or kind of account, the most answers first."""
    survey = surveys.get(session, actor, survey_id)
    dimension = _seen(actor, dimension)
    column, source = _dimension(dimension)
    where = [A.c.survey_id == survey.id, replies.in_sight(actor, survey), *([A.c.at >= since] if since else [])]
    found: dict[Any, dict[int, int]] = {}
    for key, score, n in session.execute(
        pick(column, A.c.score, func.count()).select_from(source).where(*where).group_by(column, A.c.score)
    ):
        found.setdefault(key, {})[int(score)] = int(n)
    titles = _titles(session, actor, dimension, found)
    rows = [_group(survey, key, titles.get(key, ""), counts) for key, counts in found.items()]
    return sorted(rows, key=lambda row: (-row.n, sort_key(row.title)))


def dimensions(actor: Actor) -> dict[str, str]:
    """What groups there are for this person: none by a field that their role hides."""
    hidden = {
        "category": actor.masked("ticket", "category"),
        "account_kind": actor.masked("account", "kind") or not actor.can("account", Action.READ),
        "industry": actor.masked("account", "industry") or not actor.can("account", Action.READ),
    }
    return {key: label for key, label in DIMENSIONS.items() if not hidden.get(key)}


def _seen(actor: Actor, dimension: str) -> str:
    return dimension if dimension in dimensions(actor) else "owner_id"


def silence(session: Session, actor: Actor, survey_id: int, dimension: str, *, since: datetime | None = None) -> list[Asked]:
    """Who of those asked answered, by group, the most asked first: groups that keep silent are missing in the score. A group differs when the interval of
    its share minus that of all others (Newcombe's, at 95 % over all groups together) leaves zero out, from 20 people on either side on."""
    survey = surveys.get(session, actor, survey_id)
    dimension = _seen(actor, dimension)
    column, _source = _dimension(dimension)
    accounts = entity("account").table
    source = I.outerjoin(A, A.c.invitation_id == I.c.id)
    if column.table is accounts:
        source = source.outerjoin(accounts, accounts.c.id == I.c.account_id)
    where = [I.c.survey_id == survey.id, replies.in_sight(actor, survey), I.c.sent_at.is_not(None)]
    where += [I.c.sent_at >= since] if since else []
    query = pick(column, func.count(), func.count(A.c.id)).select_from(source).where(*where).group_by(column)
    found = {key: (int(asked), int(answered)) for key, asked, answered in session.execute(query)}
    titles = _titles(session, actor, dimension, found)
    whole = (sum(asked for asked, _n in found.values()), sum(n for _asked, n in found.values()))
    rows = [
        Asked(
            key, titles.get(key, ""), asked, answered, *lift.wilson(answered, asked), _differs((answered, asked), whole, len(found))
        )
        for key, (asked, answered) in found.items()
    ]
    return sorted(rows, key=lambda row: (-row.asked, sort_key(row.title)))


def _differs(mine: tuple[int, int], whole: tuple[int, int], groups: int) -> str:
    """``mine``: (answered, asked) of a group; ``whole``: (asked, answered) of all."""
    others = (whole[1] - mine[0], whole[0] - mine[1])
    gap = lift.difference_of_shares(mine, others, 1 - 0.05 / max(1, groups))
    return ("less" if gap.value < 0 else "more") if gap.clear else ""


def _dimension(name: str) -> tuple[Any, Any]:
    source = A.join(I, A.c.invitation_id == I.c.id)
    if name not in DIMENSIONS:
        name = "owner_id"
    if name in ("account_kind", "industry"):
        accounts = entity("account").table
        return accounts.c["kind" if name == "account_kind" else "industry"], source.outerjoin(
            accounts, accounts.c.id == I.c.account_id
        )
    return I.c[name], source


def _titles(session: Session, actor: Actor, dimension: str, found: Mapping[Any, Any]) -> dict[Any, str]:
    nothing = {None: "Nobody" if dimension == "owner_id" else "None"}
    if dimension in ("owner_id", "team_id"):
        return {**lists.titles(session, actor, "user" if dimension == "owner_id" else "team", list(found)), **nothing}
    return {**{key: getattr(key, "label", str(key)) for key in found}, **nothing}


def _group(survey: Survey, key: Any, title: str, counts: Mapping[int, int]) -> Group:
    n = sum(counts.values())
    return Group(key, title, n, _score(survey.kind, counts) if n >= LEAST_ANSWERS else None)


def _by_score(session: Session, survey: Survey, seen: Any, since: datetime | None) -> dict[int, int]:
    where = [A.c.survey_id == survey.id, seen, *([A.c.at >= since] if since else [])]
    query = pick(A.c.score, func.count()).select_from(A.join(I, A.c.invitation_id == I.c.id)).where(*where).group_by(A.c.score)
    return {int(score): int(n) for score, n in session.execute(query)}


def _months(session: Session, survey: Survey, seen: Any, since: datetime | None) -> list[Group]:
    """The last months with answers, by the workspace's calendar."""
    source, zone = A.join(I, A.c.invitation_id == I.c.id), zone_of(session)
    where = [A.c.survey_id == survey.id, seen, *([A.c.at >= since] if since else [])]
    first, last = session.execute(pick(func.min(A.c.at), func.max(A.c.at)).select_from(source).where(*where)).one()
    if first is None:
        return []
    starts = _month_starts(day_of(first, zone), day_of(last, zone))
    month = case(*((A.c.at >= bounds(start, zone)[0], n) for n, start in reversed(list(enumerate(starts)))), else_=0)
    rows = pick(month.label("month"), A.c.score).select_from(source).where(*where).subquery()
    found: dict[int, dict[int, int]] = {}
    for n, score, count in session.execute(pick(rows.c.month, rows.c.score, func.count()).group_by(rows.c.month, rows.c.score)):
        found.setdefault(int(n), {})[int(score)] = int(count)
    titles = {n: f"{starts[n]:%Y-%m}" for n in sorted(found)[-MONTHS:]}
    return [_group(survey, title, title, found[n]) for n, title in titles.items()]


def _month_starts(first: date, last: date) -> list[date]:
    """The first days of the months from one day to another."""
    months = range(first.year * 12 + first.month - 1, last.year * 12 + last.month)
    return [date(n // 12, n % 12 + 1, 1) for n in months]


# --- the answers behind the numbers ------------------------------------------------------------------------------------------


def answers(
    session: Session,
    actor: Actor,
    survey_id: int,
    *,
    band: str = "",
    only_comments: bool = False,
    q: str = "",
    dimension: str = "",
    group: Any = None,
    since: datetime | None = None,
    page: int = 1,
    size: int = 20,
    action: Action = Action.READ,
) -> tuple[list[Said], int]:
    """One page of answers, the latest first. ``band``: a part of the scale such as Promoters; ``dimension`` and ``group``: one group; ``action``: what
    the actor may do with the people who answered."""
    survey = surveys.get(session, actor, survey_id)
    where = _wanted(actor, survey, band, only_comments, q, since)
    if action is not Action.READ and Scope.ALL not in actor.scopes("contact", action):
        contacts = entity("contact").table
        where.append(I.c.contact_id.in_(pick(contacts.c.id).where(visible(actor, "contact", contacts, action, with_deleted=True))))
    source: Any = A.join(I, A.c.invitation_id == I.c.id)
    if dimension:
        column, source = _dimension(_seen(actor, dimension))
        where.append(column.is_(None) if group is None else column == group)
    total = int(session.execute(pick(func.count()).select_from(source).where(*where)).scalar_one())
    columns = (A.c.id, A.c.at, A.c.score, A.c.comment, A.c.task_id, I.c.contact_id, I.c.entity, I.c.record_id)
    query = pick(*columns).select_from(source).where(*where).order_by(A.c.at.desc(), A.c.id.desc())
    rows = session.execute(query.limit(size).offset((max(page, 1) - 1) * size)).all()
    names = _names(session, actor, [row.contact_id for row in rows])
    return [
        Said(row.id, row.at, row.score, row.comment, names.get(row.contact_id, ""), row.contact_id if row.contact_id in names else None, row.entity, row.record_id, row.task_id)
        for row in rows
    ], total  # fmt: skip


def _wanted(actor: Actor, survey: Survey, band: str, only_comments: bool, q: str, since: datetime | None) -> list[Any]:
    parts = [A.c.survey_id == survey.id, replies.in_sight(actor, survey)]
    chosen = next((one for one in SCALES[survey.kind].bands if one[0] == band), None)
    if chosen is not None:
        parts.append(A.c.score.between(chosen[1], chosen[2]))
    if only_comments:
        parts.append(A.c.comment != "")
    if q.strip():
        parts.append(A.c.comment.icontains(q.strip(), autoescape=True))
    return [*parts, *([A.c.at >= since] if since else [])]


def _names(session: Session, actor: Actor, ids: Sequence[int | None]) -> dict[int | None, str]:
    """Names of the people whom the actor may see and whose names are not masked."""
    wanted = {one for one in ids if one}
    if not wanted or not actor.can("contact", Action.READ) or actor.masked("contact", "name"):
        return {}
    table: Any = Contact.__table__  # type: ignore[attr-defined]
    query = pick(table.c.id, table.c.name).where(table.c.id.in_(wanted), visible(actor, "contact", table))
    return {row.id: row.name for row in session.execute(query)}


def export(
    session: Session,
    actor: Actor,
    survey_id: int,
    *,
    band: str = "",
    only_comments: bool = False,
    q: str = "",
    since: datetime | None = None,
) -> bytes:
    """The answers as CSV, those that the page shows of people whom the actor may export. Needs the right to export contacts; raises Invalid when it reaches
    none of them. Events: organisation.exported."""
    require(actor, "contact", Action.EXPORT)
    wanted: dict[str, Any] = {"band": band, "only_comments": only_comments, "q": q, "since": since}
    rows, _ = answers(session, actor, survey_id, **wanted, action=Action.EXPORT, size=EXPORT_MOST)
    if not rows and answers(session, actor, survey_id, **wanted, size=1)[1]:
        raise Invalid("Your role may export none of these answers.")
    events.record(
        session,
        actor,
        "organisation.exported",
        entity="organisation",
        record_id=1,
        data={"rows": len(rows), "entity": "survey answers"},
    )
    reads.exported(
        session, actor, "contact", (row.contact_id for row in rows if row.contact_id), words="Survey answers", fields=("name",)
    )
    titles, said = replies.columns(session, actor, survey_id, [row.id for row in rows])
    header = ("Answered", "Score", "Comment", "Contact", "About", "Number", *titles.values())
    return csvio.to_csv(
        header,
        [
            (
                row.at.replace(second=0, microsecond=0),
                row.score,
                row.comment,
                row.who,
                row.entity,
                row.record_id,
                *(said.get((row.id, key), "") for key in titles),
            )
            for row in rows
        ],
        timezone=actor.timezone,
    )


def of_record(session: Session, actor: Actor, entity_key: str, record_id: int) -> list[tuple[Survey, SurveyAnswer]]:
    """What was answered about a record that the actor may see (for a contact: everything they answered), the latest first."""
    from crm_core import records

    records.get(session, actor, entity_key, record_id)
    about = and_(I.c.entity == entity_key, I.c.record_id == record_id)
    if entity_key == "contact":
        about = or_(about, I.c.contact_id == record_id)
    query = (
        pick(Survey, SurveyAnswer)
        .join(SurveyAnswer, A.c.survey_id == Survey.__table__.c.id)  # type: ignore[attr-defined]
        .join(SurveyInvitation, I.c.id == A.c.invitation_id)
        .where(about)
        .order_by(A.c.at.desc())
        .limit(10)
    )
    return [(row[0], row[1]) for row in session.execute(query)]


__all__ = [
    "DIMENSIONS",
    "Asked",
    "Group",
    "Overview",
    "Said",
    "answers",
    "beginning",
    "dimensions",
    "export",
    "groups",
    "of_record",
    "overview",
    "silence",
]
