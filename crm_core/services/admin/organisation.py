"""The workspace's own settings: name, currency, time zone, language, fiscal year, working hours."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import available_timezones

from babel import Locale, UnknownLocaleError
from babel.numbers import is_currency
from sqlalchemy import ColumnElement, literal, or_
from sqlalchemy import select as core_select
from sqlmodel import Session, select

from crm_core import events
from crm_core.access import Actor, require
from crm_core.entities import entity
from crm_core.errors import Invalid, NotFound
from crm_core.fields import custom_spec
from crm_core.kit.money import to_major, to_minor
from crm_core.kit.text import clean
from crm_core.models import Account, CustomField, Deal, Order, Organisation, Product
from crm_core.records import refuse_stale
from crm_core.vocabulary import Action, FieldKind

LOCALES = {
    "en_US": "English (US)", "en_GB": "English (UK)", "de_DE": "Deutsch", "de_AT": "Deutsch (Österreich)", "de_CH": "Deutsch (Schweiz)", "fr_FR": "Français",
    "es_ES": "Español", "it_IT": "Italiano", "nl_NL": "Nederlands", "pl_PL": "Polski", "pt_BR": "Português (Brasil)", "sv_SE": "Svenska", "vi_VN": "Tiếng Việt",
}  # fmt: skip
"""Formats of numbers and dates that the settings page offers; the words of the app stay English."""

CURRENCIES = (
    "USD",
    "EUR",
    "GBP",
    "CHF",
    "SEK",
    "NOK",
    "DKK",
    "PLN",
    "CZK",
    "CAD",
    "AUD",
    "NZD",
    "JPY",
    "CNY",
    "INR",
    "SGD",
    "BRL",
    "MXN",
    "ZAR",
    "VND",
    "AED",
)
_HOURS = re.compile(r"^([01]\d|2[0-3]):[0-5]\d$")


@dataclass(frozen=True)
class Settings:
    """The settings as the page shows them. ``working_hours``: weekday "0"–"6" → list of [from, to] as HH:MM."""

    version: int
    name: str
    currency: str
    timezone: str
    locale: str
    fiscal_year_start_month: int
    phone_region: str
    single_threaded_minor: int
    tax_rate_pct: float
    working_hours: Mapping[str, Any]
    has_money: bool


def get(session: Session, actor: Actor) -> Settings:
    """The settings, for who may manage them."""
    require(actor, "organisation", Action.READ)
    row = _row(session)
    return Settings(
        row.version, row.name, row.currency, row.timezone, row.locale, row.fiscal_year_start_month, row.phone_region, row.single_threaded_minor,
        row.tax_rate_pct, row.working_hours, _has_money(session),
    )  # fmt: skip


def _row(session: Session) -> Organisation:
    row = session.exec(select(Organisation)).first()
    if row is None:
        raise NotFound("This workspace is not set up yet.")
    return row


def _has_money(session: Session) -> bool:
    """Whether anything is kept in the workspace's currency: what is sold and to whom, and any other amount, in custom fields and quotas too."""
    if any(session.exec(select(model.id).limit(1)).first() is not None for model in (Deal, Order, Product, Account)):
        return True
    return any(session.execute(core_select(literal(1)).where(held).limit(1)).first() for held in _amounts(session))


def _amounts(session: Session) -> Iterator[ColumnElement[bool]]:
    """Per table and custom field the condition that a row holds an amount."""
    for kept in Organisation.metadata.sorted_tables:
        columns = [column for column in kept.c if column.name.endswith("_minor")]
        if columns and kept.name != Organisation.__tablename__:
            yield or_(*(column != 0 for column in columns))
    for field in session.exec(select(CustomField).where(CustomField.kind == FieldKind.MONEY)):
        yield custom_spec(field).expression(entity(field.entity).table) != 0


def update(session: Session, actor: Actor, changes: Mapping[str, Any], *, base_version: int | None = None) -> Organisation:
    """Change settings. The currency stays once there are amounts in it: a new code would change what they mean."""
    require(actor, "organisation", Action.MANAGE)
    row = _row(session)
    refuse_stale("the settings", row, base_version)
    checked = {key: _CHECKS[key](value) for key, value in changes.items() if key in _CHECKS}
    unknown = set(changes) - set(_CHECKS)
    if unknown:
        raise Invalid(f"There is no setting “{sorted(unknown)[0]}”.")
    if checked.get("currency", row.currency) != row.currency and _has_money(session):
        raise Invalid(fields={"currency": "The currency can't change any more: there are amounts in it already."})
    if "currency" in checked and "single_threaded_minor" not in checked:
        units = to_major(row.single_threaded_minor, row.currency)
        checked["single_threaded_minor"] = to_minor(
            units, str(checked["currency"])
        )  # 10,000.00 become 10,000 where there are no cents
    before = {key: getattr(row, key) for key in checked}
    changed = {key: (before[key], value) for key, value in checked.items() if before[key] != value}
    for key, (_old, value) in changed.items():
        setattr(row, key, value)
    if changed:
        session.add(row)
        session.flush()
        events.record(session, actor, "organisation.updated", entity="organisation", record_id=row.id, changes=changed)
    return row


def _name(value: Any) -> str:
    text = clean(str(value or ""))[:200]
    if not text:
        raise Invalid(fields={"name": "The workspace needs a name."})
    return text


def _currency(value: Any) -> str:
    code = str(value or "").upper()
    if not is_currency(code):
        raise Invalid(fields={"currency": f"“{code[:8]}” is not a currency code such as EUR."})
    return code


def _timezone(value: Any) -> str:
    if value not in available_timezones():
        raise Invalid(fields={"timezone": "Choose a time zone from the list."})
    return str(value)


def _locale(value: Any) -> str:
    try:
        return str(Locale.parse(str(value)))
    except (UnknownLocaleError, ValueError) as error:
        raise Invalid(fields={"locale": "Choose a format from the list."}) from error


def _month(value: Any) -> int:
    if value not in range(1, 13):
        raise Invalid(fields={"fiscal_year_start_month": "The fiscal year starts in one of twelve months."})
    return int(value)


def _region(value: Any) -> str:
    if not re.fullmatch(r"[A-Z]{2}", str(value or "")):
        raise Invalid(fields={"phone_region": "Use the two letters of a country, such as DE."})
    return str(value)


def _amount(value: Any) -> int:
    if not isinstance(value, int) or value < 0:
        raise Invalid(fields={"single_threaded_minor": "The amount can't be negative."})
    return value


def _tax_rate(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        raise Invalid(fields={"tax_rate_pct": "The tax rate lies between 0 and 100%."})
    return round(float(value), 3)


def _hours(value: Any) -> dict[str, list[list[str]]]:
    found: dict[str, list[list[str]]] = {}
    for day, spans in dict(value or {}).items():
        if day not in {str(n) for n in range(7)}:
            raise Invalid(fields={"working_hours": "A week has seven days."})
        if unreadable := next((span for span in spans if len(span) != 2), None):
            raise Invalid(
                fields={"working_hours": f"“{'–'.join(map(str, unreadable))}” is not a span of hours. Write 09:00–17:00."}
            )
        spans = sorted([str(start), str(end)] for start, end in spans)
        for n, (start, end) in enumerate(spans):
            if not (_HOURS.match(start) and _HOURS.match(end)) or start >= end:
                raise Invalid(fields={"working_hours": f"“{start}–{end}” is not a span of hours."})
            if n and spans[n - 1][1] > start:
                raise Invalid(fields={"working_hours": "The hours of a day must not overlap."})
        if spans:
            found[day] = spans
    if not found:
        raise Invalid(fields={"working_hours": "At least one day needs working hours."})
    return found


_CHECKS = {
    "name": _name,
    "currency": _currency,
    "timezone": _timezone,
    "locale": _locale,
    "fiscal_year_start_month": _month,
    "phone_region": _region,
    "single_threaded_minor": _amount,
    "tax_rate_pct": _tax_rate,
    "working_hours": _hours,
}
