"""The field registry: built-in and custom fields look the same to forms, lists, filters, import, export and audit."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

from email_validator import EmailNotValidError, validate_email
from sqlalchemy import BigInteger, Boolean, ColumnElement, Float, Text, cast, literal_column
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import GenericFunction
from sqlmodel import Session, col, select

from crm_core import idleness, veil
from crm_core.db import shared
from crm_core.entities import ENTITIES, entity
from crm_core.errors import Invalid
from crm_core.kit import money
from crm_core.kit.numerals import written
from crm_core.kit.text import clean, fold, one_line
from crm_core.models import CustomField, PickOption
from crm_core.vocabulary import Choice, FieldKind, StageKind

CUSTOM_PREFIX = "x_"
NUMBERS = (FieldKind.INTEGER, FieldKind.DECIMAL, FieldKind.MONEY, FieldKind.PERCENT)
TEXTS = (FieldKind.TEXT, FieldKind.LONG_TEXT, FieldKind.EMAIL, FieldKind.PHONE, FieldKind.URL)
MAX_LONG_TEXT = 100_000


class json_item(GenericFunction):  # noqa: N801
    """Text of one key of a JSON column, with the key written out: SQLite uses an expression index only for a literal path, never a bound one."""

    type = Text()
    inherit_cache = True
    name = "json_item"


@compiles(json_item, "sqlite")
def _json_item_sqlite(element: Any, compiler: Any, **kw: Any) -> str:
    column, key = element.clauses
    path = compiler.process(key, **kw).strip("'")
    return f"json_extract({compiler.process(column, **kw)}, '$.{path}')"


@compiles(json_item)
def _json_item(element: Any, compiler: Any, **kw: Any) -> str:
    column, key = element.clauses
    return f"({compiler.process(column, **kw)} ->> {compiler.process(key, **kw)})"


@dataclass(frozen=True)
class FieldSpec:
    """A field as everybody outside the tables sees it. ``options``: stored value → label, None when open. ``to``: the entity it links to."""

    entity: str
    key: str
    label: str
    kind: FieldKind
    options: Mapping[str, str] | None = None
    to: str | None = None
    pii: bool = False
    required: bool = False
    editable: bool = True
    help: str = ""
    low: float | None = None
    high: float | None = None
    max_length: int | None = None
    custom: bool = False
    enum: type[Choice] | None = None
    section: str = ""
    default: Any = None
    filterable: bool = True
    only_with: tuple[str, str] | None = None

    @property
    def textual(self) -> bool:
        """True when its values are words that people chose, sorted as in an address book."""
        return self.kind in (*TEXTS, FieldKind.PICK) or (self.custom and self.kind is FieldKind.CHOICE)

    @property
    def maskable(self) -> bool:
        """True when a role may be kept from reading it. What screens steer by (states, links, switches, instants) must stay readable."""
        steers = self.enum is not None or self.to is not None or self.kind in (FieldKind.BOOLEAN, FieldKind.DATETIME)
        return self.custom or not steers

    @property
    def veilable(self) -> bool:
        """True when a trace of it can be shown in place of its content."""
        return self.maskable and self.kind in veil.KINDS

    def expression(self, table: Any) -> ColumnElement[Any]:
        """The SQL value of the field on a table or alias of its entity."""
        columns = table.c
        if not self.custom:
            return columns[self.key]
        item = json_item(columns.extra, literal_column(f"'{self.key}'"))
        if self.kind in (FieldKind.INTEGER, FieldKind.MONEY):
            return cast(item, BigInteger)
        if self.kind in (FieldKind.DECIMAL, FieldKind.PERCENT):
            return cast(item, Float)
        if self.kind is FieldKind.BOOLEAN:
            return cast(item, Boolean)
        return item

    def value(self, record: Any) -> Any:
        """The Python value of the field on a loaded row; dates of custom fields come back as dates."""
        if not self.custom:
            return getattr(record, self.key)
        return self.from_json((record.extra or {}).get(self.key))

    def from_json(self, raw: Any) -> Any:
        """The typed value of what ``extra`` holds."""
        if raw is None:
            return None
        if raw == veil.MASK:  # taken out of the log by its retention
            return veil.MASK
        if self.kind is FieldKind.DATE:
            return date.fromisoformat(raw)
        if self.kind is FieldKind.DATETIME:
            return datetime.fromisoformat(raw)
        return raw

    @property
    def numeric(self) -> bool:
        return self.kind in NUMBERS


@dataclass(frozen=True)
class Reckoned(FieldSpec):
    """A field that no column holds: it follows from others and from the moment at which it is asked for. Only filters know it."""

    limits: Mapping[int, datetime] = dataclass_field(default_factory=dict)

    def at(self, session: Session, now: datetime) -> "Reckoned":
        """The field as of a moment."""
        return replace(self, limits=idleness.limits(session, now))

    def expression(self, table: Any) -> ColumnElement[Any]:
        return idleness.clause(table, self.limits)

    def of(self, row: Mapping[str, Any]) -> bool | None:
        """Its value in a row of fields; None where the row lacks what it follows from."""
        if row.get("stage_since") is None:
            return None
        seen = SimpleNamespace(**{key: row.get(key) for key in ("stage_id", "stage_since", "last_contact_at")})
        return row.get("outcome") == StageKind.OPEN and idleness.is_idle(seen, self.limits)


_IDLE = Reckoned(
    "deal", "idle", "Idle", FieldKind.BOOLEAN, editable=False, help="No contact for as many working days as the stage allows"
)


def reckoned(entity_key: str) -> Mapping[str, Reckoned]:
    """Fields of an entity that filters know beyond its registry."""
    return {_IDLE.key: _IDLE} if entity_key == "deal" else {}


def to_json(value: Any) -> Any:
    """A value as it is kept in JSON columns: instants and days as ISO text, decimals as numbers."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="microseconds")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, Choice):
        return value.value
    return value


@lru_cache(maxsize=64)
def builtin(entity_key: str) -> Mapping[str, FieldSpec]:
    """Specs of the columns of an entity that describe themselves, by key, in the order of the table."""
    found: dict[str, FieldSpec] = {}
    for column in entity(entity_key).table.c:
        info = column.info
        if "label" not in info:
            continue
        enum = info.get("enum")
        default = column.default.arg if column.default is not None and column.default.is_scalar else None
        found[column.key] = FieldSpec(
            entity=entity_key,
            key=column.key,
            label=info["label"],
            kind=info["kind"],
            options=enum.options() if enum else None,
            to=info.get("to"),
            pii=info.get("pii", False),
            required=info.get("required", False),
            editable=info.get("editable", True),
            help=info.get("help", ""),
            low=info.get("low"),
            high=info.get("high"),
            max_length=getattr(column.type, "length", None) if not enum else None,
            enum=enum,
            default=default,
            only_with=info.get("only_with"),
        )
    first = [key for key in found if key not in ("created_at", "updated_at")]
    return {key: found[key] for key in (*first, *(k for k in ("created_at", "updated_at") if k in found))}


def registry(session: Session, entity_key: str) -> Mapping[str, FieldSpec]:
    """All fields of an entity, custom ones and the values of editable lists included. Remembered for the session; what reading sessions
    found is shared by all of them until a custom field or a list value changes."""
    cache = session.info.setdefault("field_registry", {})
    if entity_key not in cache:
        cache[entity_key] = shared(
            session, ("fields", entity_key), ("pick_option", "custom_field"), lambda: _load(session, entity_key)
        )
    return cache[entity_key]


def forget(session: Session) -> None:
    """Read the registry anew after custom fields or list values changed in this session."""
    session.info.pop("field_registry", None)


def _load(session: Session, entity_key: str) -> Mapping[str, FieldSpec]:
    picks: dict[str, dict[str, str]] = {}
    rows = session.exec(
        select(PickOption)
        .where(PickOption.entity == entity_key, PickOption.active)
        .order_by(PickOption.field_key, PickOption.position, PickOption.value)  # type: ignore[arg-type]
    )
    for row in rows:
        picks.setdefault(row.field_key, {})[row.value] = row.value
    found = {
        key: replace(spec, options=picks.get(key, {})) if spec.kind is FieldKind.PICK else spec
        for key, spec in builtin(entity_key).items()
    }
    customs = session.exec(
        select(CustomField)
        .where(CustomField.entity == entity_key, CustomField.active)
        .order_by(CustomField.position, CustomField.id)  # type: ignore[arg-type]
    )
    for custom in customs:
        found[custom.key] = custom_spec(custom)
    return found


def custom_spec(custom: CustomField) -> FieldSpec:
    """The spec of a custom field row."""
    options = {str(option): str(option) for option in custom.options} if custom.kind in (FieldKind.CHOICE, FieldKind.PICK) else None
    return FieldSpec(
        entity=custom.entity,
        key=custom.key,
        label=custom.label,
        kind=custom.kind,
        options=options,
        pii=custom.pii,
        required=custom.required,
        help=custom.help,
        max_length=300 if custom.kind in (FieldKind.TEXT, FieldKind.EMAIL, FieldKind.URL, FieldKind.PHONE) else None,
        custom=True,
        section=custom.section,
        filterable=custom.filterable,
    )


def resolve(session: Session, entity_key: str, path: str) -> tuple[FieldSpec, tuple[str, ...]]:
    """The field at the end of a dotted path (``account.industry``) and the reference keys that lead there. Raises Invalid."""
    steps = path.split(".")
    trail: list[str] = []
    here = entity_key
    for step in steps[:-1]:
        reference = registry(session, here).get(step) or registry(session, here).get(f"{step}_id")
        if reference is None or reference.to is None or reference.to not in ENTITIES:
            raise Invalid(_missing(session, here, step, path))
        trail.append(reference.key)
        here = reference.to
    spec = registry(session, here).get(steps[-1]) or reckoned(here).get(steps[-1])
    if spec is None or len(trail) > 2:
        raise Invalid(_missing(session, here, steps[-1], path))
    return spec, tuple(trail)


def _missing(session: Session, entity_key: str, key: str, path: str) -> str:
    """What is said of a field that isn't there: people who filter by one that was retired know it by its name."""
    retired = select(CustomField.label).where(
        CustomField.entity == entity_key, CustomField.key == key, col(CustomField.active).is_(False)
    )
    label = session.exec(retired).first()
    return f"The field “{label}” is out of use." if label is not None else f"There is no field “{path}”."


# --- from input to value ------------------------------------------------------------------------------------------------

_TRUE = {"true", "yes", "y", "1", "on", "ja", "wahr", "oui", "vrai", "si", "x"}
_FALSE = {"false", "no", "n", "0", "off", "nein", "falsch", "non", "faux"}
_EMPTY = (None, "")


def parse(spec: FieldSpec, raw: Any, *, timezone: str = "UTC", currency: str = "USD") -> Any:
    """The stored value for an input: typed, trimmed, within bounds. Empty input gives None. Raises ValueError with a sentence.

    Money comes as an integer of minor units, or as text or Decimal in major units.
    """
    if isinstance(raw, str):
        raw = clean(raw)
    if raw in _EMPTY or (isinstance(raw, float) and math.isnan(raw)):
        if spec.required:
            raise ValueError(f"{spec.label} is needed.")
        return None
    value = _PARSERS[spec.kind](spec, raw, timezone, currency)
    if spec.numeric and spec.low is not None and value < spec.low:
        raise ValueError(f"{spec.label} can't be below {_plain(spec, spec.low)}.")
    if spec.numeric and spec.high is not None and value > spec.high:
        raise ValueError(f"{spec.label} can't be above {_plain(spec, spec.high)}.")
    return value


def _plain(spec: FieldSpec, bound: float) -> str:
    return f"{bound:g}"


def _text(spec: FieldSpec, raw: Any, *_: Any) -> str:
    text = clean(str(raw))
    limit = spec.max_length or MAX_LONG_TEXT
    if len(text) > limit:
        raise ValueError(f"{spec.label} has {written(len(text))} characters; at most {written(limit)} fit.")
    return text


def _line(spec: FieldSpec, raw: Any, *_: Any) -> str:
    return _text(spec, one_line(str(raw)))


_PLAIN_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")


@lru_cache(maxsize=20_000)
def _domain(domain: str) -> str:
    """A checked and normalised domain. People share domains, and checking one takes longer than everything else about an address."""
    return validate_email(f"a@{domain}", check_deliverability=False, test_environment=True).domain


def _email(spec: FieldSpec, raw: Any, *_: Any) -> str:
    local, at, domain = str(raw).strip().rpartition("@")
    try:
        if at and len(local) <= 64 and len(local) + len(domain) < 254 and _PLAIN_LOCAL.fullmatch(local):
            return f"{local}@{_domain(domain)}"
        return validate_email(str(raw).strip(), check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError as error:
        raise ValueError(f"“{str(raw)[:80]}” is not an e-mail address.") from error


def _phone(spec: FieldSpec, raw: Any, *_: Any) -> str:
    text = _text(spec, raw)
    if isinstance(raw, float) and raw.is_integer():
        text = str(int(raw))
    if sum(c.isdigit() for c in text) < 3:
        raise ValueError(f"“{text[:40]}” is not a phone number.")
    return text


def _url(spec: FieldSpec, raw: Any, *_: Any) -> str:
    text = _text(spec, raw)
    if (
        re.match(r"^[a-z][a-z0-9+.-]*:", text, re.I)
        and not re.match(r"^https?://", text, re.I)
        and not re.match(r"^[\w.-]+:\d+", text)
    ):
        raise ValueError(f"{spec.label} must be a web address that starts with https://.")
    if " " in text or "." not in text:
        raise ValueError(f"“{text[:80]}” is not a web address.")
    return text


def _number(spec: FieldSpec, raw: Any) -> Decimal:
    try:
        value = Decimal(str(raw).replace("\u00a0", "").replace(" ", "").replace("_", ""))
    except InvalidOperation as error:
        raise ValueError(f"“{str(raw)[:40]}” is not a number.") from error
    if not value.is_finite() or abs(value) > Decimal(10) ** 15:
        raise ValueError(f"“{str(raw)[:40]}” is not a number that can be stored.")
    return value


def _integer(spec: FieldSpec, raw: Any, *_: Any) -> int:
    value = _number(spec, raw)
    if value != value.to_integral_value():
        raise ValueError(f"{spec.label} must be a whole number.")
    if abs(value) > 2_147_483_647:
        raise ValueError(f"“{str(raw)[:40]}” is too large for {spec.label}.")
    return int(value)


def _decimal(spec: FieldSpec, raw: Any, *_: Any) -> float:
    return float(_number(spec, raw))


def _percent(spec: FieldSpec, raw: Any, *_: Any) -> float | int:
    value = _number(spec, str(raw).rstrip("%"))
    return int(value) if value == value.to_integral_value() else float(value)


def _money(spec: FieldSpec, raw: Any, _timezone: str, currency: str) -> int:
    if isinstance(raw, int) and not isinstance(raw, bool):
        if abs(raw) > 9_000_000_000_000_000:
            raise ValueError(f"{spec.label} is too large.")
        return raw
    return money.to_minor(_number(spec, raw), currency)


def _boolean(spec: FieldSpec, raw: Any, *_: Any) -> bool:
    if isinstance(raw, bool):
        return raw
    text = fold(str(raw).strip()).removesuffix(".0")
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f"“{str(raw)[:40]}” is neither yes nor no.")


def _date(spec: FieldSpec, raw: Any, *_: Any) -> date:
    if isinstance(raw, datetime):
        return raw.date()
    if isinstance(raw, date):
        return _in_calendar(spec, raw)
    try:
        return _in_calendar(spec, date.fromisoformat(str(raw)[:10]))
    except ValueError as error:
        raise ValueError(f"“{str(raw)[:40]}” is not a day of the calendar.") from error


def _in_calendar(spec: FieldSpec, value: date) -> date:
    if not 1000 <= value.year <= 2999:
        raise ValueError(f"{spec.label} must lie between the years 1000 and 2999.")
    return value


def _datetime(spec: FieldSpec, raw: Any, timezone: str, _currency: str) -> datetime:
    if isinstance(raw, datetime):
        value = raw
    elif isinstance(raw, date):
        value = datetime(raw.year, raw.month, raw.day)  # noqa: DTZ001
    else:
        try:
            value = datetime.fromisoformat(str(raw))
        except ValueError as error:
            raise ValueError(f"“{str(raw)[:40]}” is not a date and time.") from error
    _in_calendar(spec, value.date())  # before any arithmetic: the first and last days of the calendar overflow in other zones
    if value.tzinfo is None:
        value = value.replace(tzinfo=ZoneInfo(timezone))
    return value.astimezone(UTC)


def _choice(spec: FieldSpec, raw: Any, *_: Any) -> Any:
    text = str(raw).strip()
    options = spec.options or {}
    for value, label in options.items():
        if text.casefold() in (value.casefold(), label.casefold()):
            return spec.enum(value) if spec.enum else value
    raise ValueError(f"“{text[:60]}” is not one of the values of {spec.label}: {', '.join(list(options.values())[:12])}.")


def _pick(spec: FieldSpec, raw: Any, *_: Any) -> str:
    return _choice(spec, raw) if spec.options else _text(spec, raw)


def _reference(spec: FieldSpec, raw: Any, *_: Any) -> int:
    try:
        value = int(raw)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{spec.label} must be chosen from the list.") from error
    if isinstance(raw, bool) or value != (raw if isinstance(raw, float) else value) or not 0 < value < 2**31:
        raise ValueError(f"{spec.label} must be chosen from the list.")
    return value


_PARSERS: dict[FieldKind, Any] = {
    FieldKind.TEXT: _line,
    FieldKind.LONG_TEXT: _text,
    FieldKind.EMAIL: _email,
    FieldKind.PHONE: _phone,
    FieldKind.URL: _url,
    FieldKind.INTEGER: _integer,
    FieldKind.DECIMAL: _decimal,
    FieldKind.MONEY: _money,
    FieldKind.PERCENT: _percent,
    FieldKind.BOOLEAN: _boolean,
    FieldKind.DATE: _date,
    FieldKind.DATETIME: _datetime,
    FieldKind.CHOICE: _choice,
    FieldKind.PICK: _pick,
    FieldKind.REFERENCE: _reference,
}


def parse_one(entity_key: str, key: str, raw: Any) -> Any:
    """Parse one built-in field for a service that must know it before the kernel does. Raises Invalid naming the field."""
    try:
        return parse(builtin(entity_key)[key], raw)
    except ValueError as error:
        raise Invalid(fields={key: str(error)}) from error


def parse_all(
    specs: Mapping[str, FieldSpec],
    values: Mapping[str, Any],
    *,
    partial: bool,
    timezone: str = "UTC",
    currency: str = "USD",
) -> dict[str, Any]:
    """Parse a form's values. Unknown or read-only keys are refused. Raises Invalid with a sentence per field."""
    wrong: dict[str, str] = {}
    clean_values: dict[str, Any] = {}
    for key, raw in values.items():
        spec = specs.get(key)
        if spec is None or not spec.editable:
            wrong[key] = f"“{key}” can't be set here."
            continue
        try:
            clean_values[key] = parse(spec, raw, timezone=timezone, currency=currency)
        except ValueError as error:
            wrong[key] = str(error)
    if not partial:
        for key, spec in specs.items():
            if spec.required and spec.editable and key not in values:
                wrong[key] = f"{spec.label} is needed."
    if wrong:
        raise Invalid(fields=wrong)
    return clean_values
