"""What makes two requests the same run, and who may see it: scope, data versions, key."""

import hashlib
import json
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import select
from sqlmodel import Session

from crm_core import __version__, db
from crm_core.access import Actor, require
from crm_core.entities import ENTITIES, RECORDS
from crm_core.models import User, UserClosure
from crm_core.services.analytics.methods.base import Method
from crm_core.vocabulary import Action, Scope

_EVERYTHING = ("segment_member", "analysis_mark")


def chooses_rows(method: Method, params: Mapping[str, Any]) -> bool:
    """True when a filter or segment decides on the rows: it may look at any kind of record, so the scope covers all of them."""
    return any(param.kind in ("filter", "segment") and params.get(param.key) for param in method.params)


def scope(session: Session, actor: Actor, method: Method, params: Mapping[str, Any]) -> str:
    """Fingerprint of what the actor can see of what the run reads; two people with equal ones get equal rows. Asks for the right to read."""
    require(actor, "analytics", Action.READ)
    if not chooses_rows(method, params):
        return _fingerprint(session, actor, method.reads)
    return _fingerprint(session, actor, RECORDS, personal="@m" in json.dumps(dict(params), default=str))


def scopes(session: Session, actor: Actor, method: Method) -> tuple[str, ...]:
    """Every fingerprint under which a run of this method may be the actor's to see."""
    require(actor, "analytics", Action.READ)
    return (
        _fingerprint(session, actor, method.reads),
        _fingerprint(session, actor, RECORDS),
        _fingerprint(session, actor, RECORDS, personal=True),
    )


def _fingerprint(session: Session, actor: Actor, entities: tuple[str, ...], *, personal: bool = False) -> str:
    parts: list[Any] = [actor.fingerprint(*entities), _people(session, actor, entities)]
    parts += [("person", actor.user_id, actor.team_id)] if personal else []
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _people(session: Session, actor: Actor, entities: tuple[str, ...]) -> list[int]:
    """Whose records a scope of team or subtree reaches today: when somebody joins or leaves, yesterday's runs are another scope's."""
    reached = {scope for entity in entities for scope in actor.scopes(entity, Action.READ)}
    people: set[int] = set()
    if Scope.TEAM in reached and actor.team_id is not None:
        team = select(User.__table__.c.id).where(User.__table__.c.team_id == actor.team_id)  # type: ignore[attr-defined]
        people |= set(session.execute(team).scalars())
    if Scope.SUBTREE in reached:
        closure = UserClosure.__table__  # type: ignore[attr-defined]
        below = select(closure.c.descendant_id).where(closure.c.ancestor_id == actor.user_id)
        people |= set(session.execute(below).scalars())
    return sorted(people)


def data_versions(session: Session, method: Method, params: Mapping[str, Any]) -> dict[str, int]:
    """The version of each table that the run reads."""
    tables = set(method.tables)
    if chooses_rows(method, params):
        tables |= {ENTITIES[key].table.name for key in RECORDS} | set(_EVERYTHING)
    return dict(db.versions(session, sorted(tables)))


def code_version(method: Method) -> str:
    """Version of the product and of the method."""
    return f"{__version__}/{method.kind}.{method.version}"


def key(method: Method, params: Mapping[str, Any], scope: str, as_of: date, versions: Mapping[str, int]) -> str:
    """Equal for equal questions over equal data."""
    parts = [method.kind, dict(params), scope, as_of.isoformat(), dict(versions), code_version(method)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()


def end_of(day: date, timezone: str) -> datetime:
    """The instant at which a day of the actor ends."""
    return datetime.combine(day + timedelta(days=1), time(), ZoneInfo(timezone))
