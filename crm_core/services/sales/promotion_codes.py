"""Single codes: made when they are given out, to a person once, or so many at a time in a file."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, func, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlmodel import Session

from crm_core import db, events, lists
from crm_core.access import Actor, require
from crm_core.errors import Conflict, Invalid, NotFound
from crm_core.kit import clock
from crm_core.kit.csvio import to_csv, to_xlsx
from crm_core.kit.numerals import written
from crm_core.kit.text import clean
from crm_core.lists import ListQuery
from crm_core.models import Order, Promotion, Redemption
from crm_core.services.sales import promotion_rules as rules
from crm_core.services.sales import promotions
from crm_core.services.sales.promotions import CODES
from crm_core.vocabulary import Action, CodeKind, PromotionState

MOST = 20_000
"""Codes of one file."""
EXAMPLE = "ABCD-2345"
"""Stands for a code where nobody is given one: in previews."""
FORMATS = ("csv", "xlsx")
_CHUNK = 1_000
_USED: Any = Redemption.__table__  # type: ignore[attr-defined]
_ORDERS: Any = Order.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Batch:
    """Codes that were given out in a file."""

    purpose: str
    at: datetime
    count: int
    used: int


@dataclass(frozen=True)
class CodeRow:
    """One code as its promotion's page shows it. ``entity``, ``record_id``: whose it is, 0 when hidden or nobody's; ``order``: where it was used."""

    id: int
    code: str
    given_at: datetime
    to: str
    entity: str
    record_id: int
    order_id: int
    order: str
    used: bool


# --- to people --------------------------------------------------------------------------------------------------------------


def usable(session: Session, promotion_id: int | None, *, in_time: bool = False) -> str:
    """Why no codes of a promotion can go out; "" when they can. ``in_time``: a pause is no reason, who needs a code waits for its end."""
    if in_time and paused(session, promotion_id) is not None:
        return ""
    promotion = session.get(Promotion, promotion_id) if promotion_id else None
    if promotion is None or promotion.deleted_at is not None:
        return "The promotion whose codes it carries is not there any more. Choose another one."
    if promotion.state is not PromotionState.RUNNING:
        return f"The promotion “{promotion.name}” is {promotion.state.label.lower()}, so its codes would not work. Start it first."
    if _over(session, promotion):
        return f"The promotion “{promotion.name}” is over, so its codes would not work."
    return ""


def paused(session: Session, promotion_id: int | None) -> Promotion | None:
    """The promotion while it is paused, so that its codes wait; None when they can go out, or never will."""
    promotion = session.get(Promotion, promotion_id) if promotion_id else None
    if promotion is None or promotion.deleted_at is not None or promotion.state is not PromotionState.PAUSED:
        return None
    return None if _over(session, promotion) else promotion


def _over(session: Session, promotion: Promotion) -> bool:
    return promotion.ends_on is not None and promotion.ends_on < promotions.today(session)


def choices(session: Session, actor: Actor) -> dict[int, str]:
    """Promotions that the actor may see and whose codes go out, now or after a pause, for steps that carry them."""
    require(actor, "promotion", Action.READ)
    query = ListQuery(
        filter={"field": "state", "cmp": "in", "value": [PromotionState.RUNNING.value, PromotionState.PAUSED.value]},
        columns=("name", "state"),
        sort=("name", False),
        size=200,
    )
    found = lists.find(session, actor, "promotion", query, sums=False).rows
    return {row["id"]: row["name"] + (" (paused)" if row["state"] == PromotionState.PAUSED else "") for row in found}


def shown(session: Session, promotion_id: int | None) -> str:
    """What stands for the code where nobody is given one: the shared one itself, or what a single one looks like."""
    promotion = session.get(Promotion, promotion_id) if promotion_id else None
    if promotion is None:
        return ""
    single = f"{promotion.code}-{EXAMPLE}" if promotion.code else EXAMPLE
    return (promotion.code or "") if promotion.code_kind is CodeKind.SHARED else single


def draw(
    session: Session,
    promotion_id: int,
    key: str,
    ids: Iterable[int],
    *,
    campaign_id: int | None = None,
    since: datetime | None = None,
) -> dict[int, str]:
    """The code of each of some contacts (or leads): the shared one, or their own, made now for whoever has none that still works. Whoever asks again
    gets the same; a code that was used after ``since`` too, so that a list that is taken twice gives nobody a second one. Part of writing to them,
    which asks."""
    wanted = list(dict.fromkeys(ids))
    promotion = promotions.locked(session, promotion_id)
    if promotion.code_kind is CodeKind.SHARED:
        return dict.fromkeys(wanted, promotion.code or "")
    found, counts = _held(session, promotion_id, key, wanted, since)
    missing = [one for one in wanted if one not in found]
    rows = [
        {f"{key}_id": one, "draw_key": f"{key}:{one}:{counts.get(one, 0)}", "campaign_id": campaign_id, "given_for": ""}
        for one in missing
    ]
    for one, code in zip(missing, _make(session, promotion, rows), strict=True):
        found[one] = code
    return found


def _held(
    session: Session, promotion_id: int, key: str, ids: Sequence[int], since: datetime | None
) -> tuple[dict[int, str], dict[int, int]]:
    """Person → their code that was not used yet (or only after ``since``), and how many codes each has got."""
    person = CODES.c[f"{key}_id"]
    before = (_USED.c.at < since,) if since is not None else ()
    used = select(_USED.c.id).where(_USED.c.code_id == CODES.c.id, _USED.c.released_at.is_(None), *before).exists()
    query = select(person, CODES.c.code, used).where(CODES.c.promotion_id == promotion_id, person.in_(ids)).order_by(CODES.c.id)
    found: dict[int, str] = {}
    counts: dict[int, int] = {}
    for one, code, is_used in session.execute(query):
        counts[one] = counts.get(one, 0) + 1
        if not is_used:
            found.setdefault(one, code)
    return found, counts


def _make(session: Session, promotion: Promotion, rows: Sequence[dict[str, Any]]) -> list[str]:
    """New codes for these rows, in their order. Another one is drawn in place of one that exists."""
    statement = (sqlite.insert if db.is_sqlite(session) else postgresql.insert)(CODES)
    now, made = clock.utcnow(), list[str]()
    fixed = {"promotion_id": promotion.id, "given_at": now, "created_at": now, "updated_at": now, "version": 1}
    for at in range(0, len(rows), _CHUNK):
        left = list(rows[at : at + _CHUNK])
        while left:
            drawn = {rules.new_code(promotion.code or ""): None for _ in left}
            clash = set(session.execute(select(CODES.c.code).where(CODES.c.code.in_(drawn))).scalars())
            fresh = [code for code in drawn if code not in clash]
            part, left = left[: len(fresh)], left[len(fresh) :]
            if part:
                session.execute(statement, [{**fixed, **row, "code": code} for row, code in zip(part, fresh, strict=True)])
            made += fresh
    db.bump(session, CODES.name)
    return made


# --- in files ---------------------------------------------------------------------------------------------------------------


def give_out(session: Session, actor: Actor, promotion_id: int, count: int, purpose: str) -> int:
    """Make so many codes for a purpose (a flyer, a partner), to be taken as a file. Needs the rights to change and to export promotions.
    Events: promotion.codes_given."""
    require(actor, "promotion", Action.EXPORT)
    promotions.get(session, actor, promotion_id, action=Action.EDIT)
    words = clean(purpose)[:120]
    if not words:
        raise Invalid(fields={"purpose": "Say what they are for, so that their results can be told apart."})
    if not isinstance(count, int) or not 1 <= count <= MOST:
        raise Invalid(fields={"count": f"Choose between 1 and {written(MOST)} codes."})
    promotion = promotions.locked(session, promotion_id)
    if promotion.code_kind is not CodeKind.SINGLE:
        raise Conflict("Everybody types the same code here, so there are none to give out one by one.")
    if any(one.purpose == words for one in batches(session, actor, promotion_id)):
        raise Invalid(fields={"purpose": f"There are codes for “{words}” already. Choose another name."})
    _make(session, promotion, [{"given_for": words}] * count)
    events.record(session, actor, "promotion.codes_given", promotion, data={"count": count, "purpose": words})
    return count


def batches(session: Session, actor: Actor, promotion_id: int) -> list[Batch]:
    """The files of codes, the latest first, with how many of each were used."""
    promotions.get(session, actor, promotion_id)
    joined = CODES.outerjoin(_USED, and_(_USED.c.code_id == CODES.c.id, _USED.c.released_at.is_(None)))
    first = func.min(CODES.c.given_at)
    query = (
        select(CODES.c.given_for, first, func.count(), func.count(_USED.c.id))
        .select_from(joined)
        .where(CODES.c.promotion_id == promotion_id, CODES.c.given_for != "")
        .group_by(CODES.c.given_for)
    )
    return [Batch(*row) for row in session.execute(query.order_by(first.desc())).tuples()]


def batch_file(session: Session, actor: Actor, promotion_id: int, purpose: str, *, form: str = "csv") -> bytes:
    """The codes of one purpose as a file, those that were used marked."""
    require(actor, "promotion", Action.EXPORT)
    promotion = promotions.get(session, actor, promotion_id)
    if form not in FORMATS:
        raise Invalid("Choose CSV or XLSX.")
    rows = list(_of_batch(session, promotion_id, purpose))
    if not rows:
        raise NotFound("There are no codes of this name.")
    head = ("Code", "Promotion", "Valid until", "Used")
    until = promotion.ends_on.isoformat() if promotion.ends_on else ""
    lines = ((code, promotion.name, until, "yes" if used else "") for code, used in rows)
    return to_csv(head, lines) if form == "csv" else to_xlsx(head, lines)


def _of_batch(session: Session, promotion_id: int, purpose: str) -> Iterator[tuple[str, bool]]:
    used = select(_USED.c.id).where(_USED.c.code_id == CODES.c.id, _USED.c.released_at.is_(None)).exists()
    query = select(CODES.c.code, used).where(CODES.c.promotion_id == promotion_id, CODES.c.given_for == purpose)
    yield from session.execute(query.order_by(CODES.c.id)).tuples()


# --- looking ----------------------------------------------------------------------------------------------------------------


def given(session: Session, actor: Actor, promotion_id: int) -> int:
    """How many single codes were given out."""
    promotions.get(session, actor, promotion_id)
    return session.execute(select(func.count()).select_from(CODES).where(CODES.c.promotion_id == promotion_id)).scalar_one()


def find(
    session: Session, actor: Actor, promotion_id: int, *, q: str = "", used: bool | None = None, page: int = 1, size: int = 20
) -> tuple[list[CodeRow], int]:
    """One page of the codes and their number, the newest first. Names and orders as far as the actor may see them."""
    promotions.get(session, actor, promotion_id)
    joined = CODES.outerjoin(_USED, and_(_USED.c.code_id == CODES.c.id, _USED.c.released_at.is_(None)))
    clause = [CODES.c.promotion_id == promotion_id]
    if rules.normal(q):
        clause.append(CODES.c.code.contains(rules.normal(q), autoescape=True))
    if used is not None:
        clause.append(_USED.c.id.is_not(None) if used else _USED.c.id.is_(None))
    total = session.execute(select(func.count()).select_from(joined).where(*clause)).scalar_one()
    query = select(CODES, _USED.c.order_id).select_from(joined).where(*clause).order_by(CODES.c.id.desc())
    rows = session.execute(query.limit(size).offset((max(page, 1) - 1) * size)).all()
    return _code_rows(session, actor, rows), int(total)


def _code_rows(session: Session, actor: Actor, rows: Sequence[Any]) -> list[CodeRow]:
    names = {
        key: lists.titles(session, actor, key, [getattr(row, f"{key}_id") for row in rows if getattr(row, f"{key}_id")])
        for key in ("contact", "lead")
    }
    orders = lists.titles(session, actor, "order", [row.order_id for row in rows if row.order_id])
    found = []
    for row in rows:
        key = "contact" if row.contact_id else "lead" if row.lead_id else ""
        person = (row.contact_id or row.lead_id or 0) if key else 0
        name = names[key].get(person, "") if key else ""
        to = name or ("Somebody" if key else row.given_for)
        order = orders.get(row.order_id, "")
        found.append(
            CodeRow(
                row.id,
                row.code,
                row.given_at,
                to,
                key if name else "",
                person if name else 0,
                row.order_id if order else 0,
                order,
                row.order_id is not None,
            )
        )
    return found
