"""What a method of analysis is: its name, what it reads, its parameters, and the function that computes an outcome.

A module of this package declares ``METHOD = Method(…)`` and imports ``ml`` and ``pandas`` **inside** ``compute``: pages import the declaration
to draw the form, and must not pay for scikit-learn. Tables of an outcome hold ids of records, never names or other personal content:
who opens the run reads those through their own eyes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any, Literal

from sqlmodel import Session

from crm_core.access import Actor
from crm_core.errors import Invalid

Kind = Literal["int", "float", "bool", "text", "choice", "multi", "date", "filter", "segment"]
Options = Mapping[Any, str] | Callable[[Session, Actor], Mapping[Any, str]]
Report = Callable[[float, str], None]
"""``report(share, words)``: how much is done, from 0 to 1, and what comes now."""


@dataclass(frozen=True)
class Param:
    """One thing to choose before a run.

    ``options``: value → label of a choice, or a function of the session and the actor. ``entity``: whose records a filter or segment is
    about, or ``@key`` of an earlier parameter that says so (through ``entities`` where its values are no entities themselves). ``low``/``high`` bound a number. ``advanced`` ones stand behind "More settings".
    """

    key: str
    label: str
    kind: Kind
    default: Any = None
    options: Options | None = None
    low: float | None = None
    high: float | None = None
    help: str = ""
    entity: str = ""
    advanced: bool = False
    entities: Mapping[str, str] | None = None

    def about(self, chosen: Mapping[str, Any]) -> str:
        """Whose records a filter is about, with the parameters chosen before it."""
        if not self.entity.startswith("@"):
            return self.entity
        value = str(chosen.get(self.entity[1:], ""))
        return self.entities.get(value, "") if self.entities is not None else value

    def choices(self, session: Session, actor: Actor) -> dict[Any, str]:
        """What can be chosen."""
        found = self.options(session, actor) if callable(self.options) else self.options
        return dict(found or {})


@dataclass(frozen=True)
class Mark:
    """What a run says about one record, once it is published."""

    kind: str
    entity: str
    record_id: int
    number: float | None = None
    label: str = ""
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass
class Outcome:
    """What a run found. ``reliable``: yes, partly or no; ``tables``: name → DataFrame; ``missing``: what more data would allow;
    ``sql`` and ``python``: how an analyst computes the same; ``marks``: a list of ``Mark``, or a DataFrame with its columns."""

    verdict: str
    reliable: Literal["yes", "partly", "no"]
    summary: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, Any] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    sql: str = ""
    python: str = ""
    marks: Any = field(default_factory=list)


Compute = Callable[[Session, Actor, dict[str, Any], datetime, Report], Outcome]


@dataclass(frozen=True)
class Method:
    """One kind of analysis.

    ``entities``: whose visibility the result depends on (the asker needs to read each); ``also``: entities that it reads only where the
    asker may (``compute`` asks), so that its scope depends on them too; ``tables``: whose change makes it stale;
    ``compute(session, actor, params, as_of, report)``: ``as_of`` is the instant at which the chosen day ends, later rows stay unseen;
    ``version`` rises when the same data would give another result; ``how``: the definition in a few sentences; ``page`` and ``part``: the screen
    that shows its runs, where that isn't named like the kind, and which half of it (``of`` in the address).
    """

    kind: str
    title: str
    entities: tuple[str, ...]
    tables: tuple[str, ...]
    params: tuple[Param, ...]
    compute: Compute
    version: int = 1
    how: str = ""
    also: tuple[str, ...] = ()
    page: str = ""
    part: str = ""

    def address(self, run_id: int) -> dict[str, Any]:
        """What the address of a run says after the name of its screen."""
        return {"of": self.part, "run": run_id} if self.part else {"run": run_id}

    @property
    def reads(self) -> tuple[str, ...]:
        """Every entity on whose visibility the result may depend."""
        return (*self.entities, *self.also)

    def normalise(self, params: Mapping[str, Any], session: Session, actor: Actor) -> dict[str, Any]:
        """Every parameter with its value in one form, so that equal questions look equal. Raises Invalid with a sentence per parameter."""
        unknown = set(params) - {param.key for param in self.params}
        problems = dict.fromkeys(unknown, "There is no such setting.")
        found: dict[str, Any] = {}
        for param in self.params:
            try:
                settled = replace(param, entity=param.about(found))
                found[param.key] = _value(settled, params.get(param.key, param.default), session, actor)
            except Invalid as error:
                problems[param.key] = f"{param.label}: {error.message}"
        if problems:
            raise Invalid(fields=problems)
        return found


def _value(param: Param, raw: Any, session: Session, actor: Actor) -> Any:
    if raw is None or raw == "" or raw == []:
        return _empty(param)
    if param.kind in ("int", "float"):
        return _number(param, raw)
    if param.kind == "bool":
        return raw if isinstance(raw, bool) else str(raw).lower() in ("1", "true", "yes")
    if param.kind == "date":
        return _day(raw)
    if param.kind == "filter":
        return _filter(param, raw, session, actor)
    if param.kind == "segment":
        return _whole(raw)
    if param.kind in ("choice", "multi"):
        return _chosen(param, raw, session, actor)
    return str(raw).strip()[:500]


def _empty(param: Param) -> Any:
    if param.default in (None, "", [], ()) or param.kind in ("filter", "segment", "multi"):
        return [] if param.kind == "multi" else None
    raise Invalid("needs a value.")


def _number(param: Param, raw: Any) -> int | float:
    try:
        number = float(raw)
    except (TypeError, ValueError):
        raise Invalid("needs a number.") from None
    if number != number or (param.low is not None and number < param.low) or (param.high is not None and number > param.high):
        raise Invalid(
            f"must lie between {param.low:g} and {param.high:g}." if param.high is not None else f"at least {param.low:g}."
        )
    return int(number) if param.kind == "int" else number


def _whole(raw: Any) -> int:
    try:
        return int(raw)
    except (TypeError, ValueError):
        raise Invalid("can't be read.") from None


def _day(raw: Any) -> str:
    try:
        return (raw if isinstance(raw, date) else date.fromisoformat(str(raw)[:10])).isoformat()[:10]
    except ValueError:
        raise Invalid("needs a day.") from None


def _filter(param: Param, raw: Any, session: Session, actor: Actor) -> Any:
    from crm_core.filters import Context, bind

    if not raw.get("items") and "op" in raw:
        return None
    bind(session, param.entity, raw, Context(actor))
    return raw


def _chosen(param: Param, raw: Any, session: Session, actor: Actor) -> Any:
    known = {str(key): key for key in param.choices(session, actor)}
    wanted = [str(item) for item in (raw if isinstance(raw, list | tuple | set) else [raw])]
    if any(item not in known for item in wanted):
        raise Invalid("is none of the choices.")
    return sorted((known[item] for item in wanted), key=str) if param.kind == "multi" else known[wanted[0]]
