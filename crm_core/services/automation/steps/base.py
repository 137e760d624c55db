"""What a step is: a name, parameters, words, and a function that takes effect inside the transaction that also moves the run on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlmodel import Session

from crm_core import lists
from crm_core.access import Actor
from crm_core.entities import ENTITIES
from crm_core.services.automation import flow_rules


@dataclass(frozen=True)
class Context:
    """What a step may use. ``actor``: the owner of the automation; ``record``: the loaded row; ``key``: names this step of this run for ever."""

    session: Session
    actor: Actor
    automation_id: int
    automation: str
    entity: str
    record: Any
    key: str
    now: datetime
    event_type: str = ""
    event: Mapping[str, Any] = field(default_factory=dict)

    @property
    def owner_id(self) -> int:
        """The record's owner, or else the automation's."""
        return getattr(self.record, "owner_id", None) or self.actor.user_id or 0

    @property
    def batch(self) -> str:
        """What the messages of this run are called back by."""
        return batch_of(self.key)

    def person(self) -> tuple[str, int] | None:
        """The contact or lead whom the record is about."""
        if self.entity in ("contact", "lead"):
            return self.entity, self.record.id
        contact_id = getattr(self.record, "contact_id", None)
        return ("contact", contact_id) if contact_id else None


def batch_of(key: str) -> str:
    """The name that a run's messages have in the outbox; ``key``: the run's number, or the name of one of its steps."""
    return f"auto:{key.split(':')[0]}"


@dataclass(frozen=True)
class Done:
    """The step took effect; ``message`` says how, ``amount_minor`` what it cost, where it has a budget."""

    message: str = ""
    amount_minor: int | None = None


@dataclass(frozen=True)
class Skipped:
    """The step was rightly left out."""

    message: str


@dataclass(frozen=True)
class Waited:
    """The run goes on at that instant, behind this step."""

    until: datetime
    message: str = ""


@dataclass(frozen=True)
class Later:
    """The step's time has not come: the run stands still before it until then, and everything is asked anew. ``why``: what it waits for, to be
    continued after "Waits for"; ``open_end``: nobody knows when that comes, ``until`` is when to look again."""

    until: datetime
    why: str
    open_end: bool = False


@dataclass(frozen=True)
class Branched:
    """The run goes on in that arm."""

    yes: bool


@dataclass(frozen=True)
class Exit:
    """The run ends here."""

    message: str = ""


Result = Done | Skipped | Waited | Later | Branched | Exit


@dataclass(frozen=True)
class Param:
    """One parameter. ``type``: text, long, number, money, hour, choice, user (the owner or a colleague), person, field, value, date_field,
    campaign, segment, template, letter, webhook, survey, promotion; ``options``: value → label; ``choices(session, actor)``: id → name, where the options are records;
    ``only``: another parameter and the value at which this one is asked for."""

    key: str
    label: str
    type: str = "text"
    required: bool = False
    default: Any = None
    options: Mapping[str, str] = field(default_factory=dict)
    help: str = ""
    low: int = 0
    high: int = 10_000
    max_length: int = 300
    choices: Callable[[Session, Actor], Mapping[int, str]] | None = None
    only: tuple[str, Any] | None = None


@dataclass(frozen=True)
class StepKind:
    """A kind of step. ``describe(step, names)``: one sentence with plain text; ``problem(session, actor, flow, step)``: what is wrong, "" if nothing;
    ``entities``: what it can be used for, () for everything; ``mails``: whether it writes to customers."""

    key: str
    title: str
    icon: str
    order: int
    run: Callable[[Context, Mapping[str, Any]], Result]
    describe: Callable[[Mapping[str, Any], "Names"], str]
    params: tuple[Param, ...] = ()
    entities: tuple[str, ...] = ()
    problem: Callable[[Session, Actor, flow_rules.Flow, Mapping[str, Any]], str] | None = None
    mails: bool = False


class Names:
    """Names of people and records in the sentences of steps, as the reader may see them."""

    def __init__(self, session: Session, actor: Actor, entity: str) -> None:
        self.session, self.actor, self.entity = session, actor, entity

    def of(self, key: str, record_id: Any) -> str:
        """The name of a record, or words for one that is hidden or gone."""
        number = int(record_id or 0)
        return lists.titles(self.session, self.actor, key, {number}).get(
            number, "somebody" if key == "user" else "something hidden"
        )

    def user(self, who: Any) -> str:
        return "the owner" if who in (None, "", "owner") else self.of("user", who)

    @property
    def record(self) -> str:
        return ENTITIES[self.entity].label.lower() if self.entity in ENTITIES else "record"


def who(context: Context, chosen: Any) -> int:
    """The person of a parameter that is "owner" or a user's id."""
    return context.owner_id if chosen in (None, "", "owner") else int(chosen)
