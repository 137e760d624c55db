"""The first of some rules that fits a record: whose work it is, what it is promised."""

import logging
from collections.abc import Iterable
from typing import Any, Protocol, TypeVar

from sqlalchemy import exists, select
from sqlmodel import Session

from crm_core.access import Actor, system
from crm_core.entities import entity
from crm_core.errors import CrmError
from crm_core.fields import resolve
from crm_core.filters.nodes import Ast
from crm_core.filters.sql import where

log = logging.getLogger("rapport.filters")


class Ruled(Protocol):
    """A rule in force, with the filter that says which records it is about; without one it is about all."""

    name: str
    filter: dict[str, Any] | None


R = TypeVar("R", bound=Ruled)


def first_fitting(session: Session, entity_key: str, record_id: int, rules: Iterable[R]) -> R | None:
    """The first rule whose filter a record matches. Filters are read as the product itself: the rules hold for everybody alike.

    One that can't be asked any more (a value or a field of it is gone) fits nothing, and the log says so: it must keep nobody from working.
    """
    table = entity(entity_key).table
    mine = table.c.id == record_id
    for rule in rules:
        if not rule.filter:
            return rule
        try:
            clause = where(session, entity_key, rule.filter, system())
        except CrmError as error:
            log.warning("the rule %r about records of the kind %s can't be asked: %s", rule.name, entity_key, error.message)
            continue
        if session.execute(select(exists(select(table.c.id).where(mine, clause)))).scalar_one():
            return rule
    return None


def tells(session: Session, actor: Actor, entity_key: str, ast: Ast | None, *fields: str) -> bool:
    """Whether it would tell the actor what their role hides, that a rule with this filter fits a record: it asks for something that they may not ask for.
    ``fields``: what else it goes by, as paths."""
    if not actor.masks:
        return False
    for path in fields:
        try:
            spec, _ = resolve(session, entity_key, path)
        except CrmError:
            continue
        if actor.masked(spec.entity, spec.key):
            return True
    try:
        where(session, entity_key, ast, actor)
    except CrmError:
        return True
    return False


def unaskable(session: Session, entity_key: str, ast: Ast | None) -> str:
    """Why a filter in force can't be asked any more, as a sentence; "" when it can."""
    try:
        where(session, entity_key, ast, system())
    except CrmError as error:
        return error.message
    return ""
