"""Customers (contacts or accounts) with chosen fields, as the CUSTOMERS frame of ``ml.contracts``, within the actor's scope."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Literal

import pandas as pd
from sqlalchemy import Select, and_, select
from sqlmodel import Session

from crm_core.access import Actor, require, visible
from crm_core.entities import entity
from crm_core.errors import Invalid
from crm_core.fields import FieldSpec, registry
from crm_core.filters import where
from crm_core.frames.read import read_frame
from crm_core.kit.money import exponent
from crm_core.vocabulary import Action, FieldKind

Customer = Literal["contact", "account"]

TELLING = (
    FieldKind.INTEGER,
    FieldKind.DECIMAL,
    FieldKind.MONEY,
    FieldKind.PERCENT,
    FieldKind.BOOLEAN,
    FieldKind.CHOICE,
    FieldKind.PICK,
)
"""Kinds of fields by which customers can be told apart: numbers, yes or no, one of a list."""


def attributes(session: Session, actor: Actor, customer: Customer) -> dict[str, FieldSpec]:
    """The fields by which customers can be compared: no free text, nothing personal, nothing that is masked."""
    require(actor, customer, Action.READ)
    return {
        key: spec
        for key, spec in registry(session, customer).items()
        if spec.kind in TELLING and not spec.pii and not actor.masked(customer, key)
    }


def customers(
    session: Session,
    actor: Actor,
    customer: Customer = "contact",
    *,
    fields: Iterable[str] = (),
    rule: Mapping[str, Any] | None = None,
    now: datetime | None = None,
) -> pd.DataFrame:
    """One row per customer whom the actor may see and the filter admits: customer_id and the fields (choices as stored, money in major units)."""
    known = attributes(session, actor, customer)
    chosen = list(dict.fromkeys(fields))
    if unknown := [key for key in chosen if key not in known]:
        raise Invalid(f"Customers can't be compared by {', '.join(unknown)}.")
    frame = read_frame(session, query(session, actor, customer, [known[key] for key in chosen], rule=rule, now=now))
    for key in chosen:
        if known[key].kind is FieldKind.MONEY:
            frame[key] = pd.to_numeric(frame[key]).astype(float) / 10 ** exponent(actor.currency)
        elif not pd.api.types.is_numeric_dtype(frame[key]) and not pd.api.types.is_bool_dtype(frame[key]):
            frame[key] = frame[key].astype(object).where(frame[key].notna(), None)
    return frame


def query(
    session: Session,
    actor: Actor,
    customer: Customer,
    specs: Iterable[FieldSpec] = (),
    *,
    rule: Mapping[str, Any] | None = None,
    now: datetime | None = None,
) -> Select[Any]:
    """The SELECT behind ``customers``, by id."""
    require(actor, customer, Action.READ)
    table = entity(customer).table
    chosen = where(session, customer, rule, actor, now=now) if rule else None
    condition = visible(actor, customer, table) if chosen is None else and_(visible(actor, customer, table), chosen)
    columns = [spec.expression(table).label(spec.key) for spec in specs]
    return select(table.c.id.label("customer_id"), *columns).where(condition).order_by(table.c.id)
