"""Quotas: what each person is to win in a month. Managers set them for themselves and everyone below; quarters and years are sums."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from sqlalchemy import func, select
from sqlmodel import Session

from crm_core import events
from crm_core.access import Actor, owned_within, require
from crm_core.errors import Conflict, Invalid
from crm_core.kit.numerals import written
from crm_core.models import Quota, RolePermission, User, UserRole
from crm_core.ordering import alphabetical
from crm_core.services.analytics.periods import Period, add_months
from crm_core.vocabulary import Action

MAX_MINOR = 9 * 10**14
MAX_CHANGES = 2_000
_QUOTAS: Any = Quota.__table__  # type: ignore[attr-defined]
_USERS: Any = User.__table__  # type: ignore[attr-defined]
_USER_ROLES: Any = UserRole.__table__  # type: ignore[attr-defined]
_GRANTS: Any = RolePermission.__table__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class PersonQuotas:
    """One person with the amounts of the asked months (minor units; None where nothing is set), and whether the actor may change them."""

    owner_id: int
    name: str
    amounts: tuple[int | None, ...]
    editable: bool


@dataclass(frozen=True)
class Change:
    """One cell of the grid: the amount that was shown and the one that is to stand there (None: none)."""

    owner_id: int
    month_on: date
    before: int | None
    after: int | None


def months_of(period: Period) -> list[date]:
    """The first days of the months in a period."""
    if period.start is None or period.end is None:
        return []
    found, month = [], period.start.replace(day=1)
    while month <= period.end:
        found.append(month)
        month = add_months(month, 1)
    return found


def find(session: Session, actor: Actor, months: Sequence[date]) -> list[PersonQuotas]:
    """Everyone whose quota the actor may see and who works on deals (or has a quota), by name."""
    require(actor, "quota", Action.READ)
    known = {
        (row.owner_id, row.month_on): row.amount_minor
        for row in session.execute(
            select(_QUOTAS).where(_QUOTAS.c.month_on.in_(months), _reach(actor, _QUOTAS.c.owner_id, Action.READ))
        )
    }
    sells = select(_USER_ROLES.c.user_id).join(_GRANTS, _GRANTS.c.role_id == _USER_ROLES.c.role_id)
    sells = sells.where(_GRANTS.c.entity == "deal", _GRANTS.c.action == Action.EDIT)
    people = select(_USERS.c.id, _USERS.c.name).where(
        _reach(actor, _USERS.c.id, Action.READ),
        (_USERS.c.is_active & _USERS.c.id.in_(sells)) | _USERS.c.id.in_([owner for owner, _ in known]),
    )
    may = set(session.execute(select(_USERS.c.id).where(_reach(actor, _USERS.c.id, Action.MANAGE))).scalars())
    rows = session.execute(people.order_by(alphabetical(_USERS.c.name), _USERS.c.id)).all()
    return [PersonQuotas(key, name, tuple(known.get((key, month)) for month in months), key in may) for key, name in rows]


def total(session: Session, actor: Actor, period: Period, *, owner_id: int | None = None) -> int | None:
    """The quota of a period over everyone whose the actor may see, or of one person, in minor units; None when nothing is set."""
    require(actor, "quota", Action.READ)
    kept = [_QUOTAS.c.month_on.in_(months_of(period)), _reach(actor, _QUOTAS.c.owner_id, Action.READ)]
    kept += [_QUOTAS.c.owner_id == owner_id] if owner_id is not None else []
    found = session.execute(select(func.sum(_QUOTAS.c.amount_minor)).where(*kept)).scalar()
    return None if found is None else int(found)


def save(session: Session, actor: Actor, changes: Sequence[Change]) -> int:
    """Set or clear quotas; returns how many changed. A cell that somebody else changed meanwhile is a Conflict, and then nothing is saved;
    ``details["rows"]`` holds the changes of such cells with what stands there as ``before``.

    Saving the same twice changes nothing the second time.
    """
    require(actor, "quota", Action.MANAGE)
    _check(session, actor, changes)
    owners, months = {change.owner_id for change in changes}, {change.month_on for change in changes}
    rows = session.execute(select(Quota).where(_QUOTAS.c.owner_id.in_(owners), _QUOTAS.c.month_on.in_(months))).scalars()
    known = {(row.owner_id, row.month_on): row for row in rows}
    _refuse_stale(known, changes)
    done = sum(_put(session, known.get((change.owner_id, change.month_on)), change) for change in changes)
    if done:
        session.flush()
        events.record(session, actor, "quota.changed", entity="quota", data={"count": done, "owners": sorted(owners)})
    return done


def _put(session: Session, row: Quota | None, change: Change) -> int:
    stands = row.amount_minor if row is not None else None
    if stands == change.after:
        return 0
    if row is None:
        session.add(Quota(owner_id=change.owner_id, month_on=change.month_on, amount_minor=change.after or 0))
    elif change.after is None:
        session.delete(row)
    else:
        row.amount_minor = change.after
        session.add(row)
    return 1


def _refuse_stale(known: Mapping[tuple[int, date], Quota], changes: Sequence[Change]) -> None:
    """Raise Conflict when cells hold neither what was shown nor what is to stand there."""
    stale = []
    for change in changes:
        row = known.get((change.owner_id, change.month_on))
        stands = row.amount_minor if row is not None else None
        if stands not in (change.before, change.after):
            stale.append(replace(change, before=stands))
    if stale:
        raise Conflict(
            "Somebody else changed one of these quotas meanwhile. Look at the new state and enter yours again.", rows=stale
        )


def _check(session: Session, actor: Actor, changes: Sequence[Change]) -> None:
    if len(changes) > MAX_CHANGES:
        raise Invalid(f"At most {written(MAX_CHANGES)} quotas can be changed at once.")
    for change in changes:
        if change.month_on.day != 1:
            raise Invalid("A quota belongs to a whole month.")
        if change.after is not None and not 0 <= change.after <= MAX_MINOR:
            raise Invalid("A quota is an amount of zero or more.")
    wanted = {change.owner_id for change in changes}
    reach = select(_USERS.c.id).where(_USERS.c.id.in_(wanted), _reach(actor, _USERS.c.id, Action.MANAGE))
    if wanted - set(session.execute(reach).scalars()):
        raise Invalid("One of these people does not exist, or is not below you.")


def _reach(actor: Actor, owner: Any, action: Action) -> Any:
    return owned_within(actor, owner, actor.scopes("quota", action))
