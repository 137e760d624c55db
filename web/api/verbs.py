"""What the business does besides changing fields: win a deal, convert a lead, answer a ticket. One table, each verb through its service."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from fastapi import APIRouter, Request
from sqlmodel import Session
from starlette.responses import Response

from crm_core import records
from crm_core.access import Actor
from crm_core.entities import ENTITIES
from crm_core.errors import Invalid
from crm_core.services.collaboration import activities, tasks
from crm_core.services.collaboration.timeline import LINKS
from crm_core.services.helpdesk import tickets
from crm_core.services.marketing import campaigns
from crm_core.services.sales import deals, gates, leads, orders, promotions, redeeming
from crm_core.vocabulary import Action, ActivityKind, Choice, OrderStatus, PromotionState, TicketKind
from web.api import document
from web.api.answers import Answer, check_version, versions_asked, write
from web.api.records import Body, RecordId, path_of, shown

Run = Callable[[Session, Actor, int, dict[str, Any]], Mapping[str, Any] | None]


@dataclass(frozen=True)
class Param:
    """One thing that a verb is told. ``kind``: text, whole, yes, day, instant, ids, or an enumeration."""

    key: str
    kind: str | type[Choice]
    help: str = ""
    needed: bool = False
    most: int = 300


@dataclass(frozen=True)
class Verb:
    """A verb of one kind of record."""

    entity: str
    name: str
    summary: str
    run: Run
    params: tuple[Param, ...] = ()
    action: Action = Action.EDIT


def _win(session: Session, actor: Actor, record_id: int, given: dict[str, Any]) -> None:
    with gates.answered(session, _answer(given)):
        deals.win(session, actor, record_id, **given)


def _lose(session: Session, actor: Actor, record_id: int, given: dict[str, Any]) -> None:
    deals.lose(session, actor, record_id, **{"reason": None, **given})


def _move_deal(session: Session, actor: Actor, record_id: int, given: dict[str, Any]) -> None:
    with gates.answered(session, _answer(given)):
        deals.move(session, actor, record_id, given["stage_id"])


def _reopen_deal(session: Session, actor: Actor, record_id: int, given: dict[str, Any]) -> None:
    with gates.answered(session, _answer(given)):
        deals.reopen(session, actor, record_id, **given)


def _answer(given: dict[str, Any]) -> gates.Answer:
    return gates.Answer(reason=given.pop("override", ""))


def _convert(session: Session, actor: Actor, record_id: int, given: dict[str, Any]) -> Mapping[str, Any]:
    made = leads.convert(session, actor, record_id, **given)
    return {"account_id": made.account_id, "contact_id": made.contact_id, "deal_id": made.deal_id}


def _disqualify(session: Session, actor: Actor, record_id: int, given: dict[str, Any]) -> None:
    leads.disqualify(session, actor, record_id, **{"reason": None, **given})


def _reply(session: Session, actor: Actor, record_id: int, given: dict[str, Any]) -> Mapping[str, Any]:
    return {"message_id": tickets.reply(session, actor, record_id, given.pop("body"), **given).id}


def _receive(session: Session, actor: Actor, record_id: int, given: dict[str, Any]) -> Mapping[str, Any]:
    return {"message_id": tickets.receive(session, actor, record_id, given.pop("body"), **given).id}


def _move_order(session: Session, actor: Actor, record_id: int, given: dict[str, Any]) -> None:
    orders.move(session, actor, record_id, given["status"])


def _redeem(session: Session, actor: Actor, record_id: int, given: dict[str, Any]) -> Mapping[str, Any]:
    used = redeeming.redeem(session, actor, record_id, given["code"])
    return {"redemption_id": used.id, "code": used.code, "amount_minor": used.amount_minor}


def _take_code_off(session: Session, actor: Actor, record_id: int, given: dict[str, Any]) -> None:
    redeeming.take_off(session, actor, record_id, given["redemption_id"])


def _move_promotion(session: Session, actor: Actor, record_id: int, given: dict[str, Any]) -> None:
    promotions.move(session, actor, record_id, given["state"])


def _add_members(session: Session, actor: Actor, record_id: int, given: dict[str, Any]) -> Mapping[str, Any]:
    added, present = campaigns.add_members(session, actor, record_id, given["kind"], given["ids"])
    return {"added": added, "already_in": present}


def _log_on(entity_key: str) -> Run:
    def run(session: Session, actor: Actor, record_id: int, given: dict[str, Any]) -> Mapping[str, Any]:
        return {"activity_id": activities.log(session, actor, entity_key, record_id, **{"text": "", **given}).id}

    return run


OVERRIDE = Param("override", "text", "Why the deal goes on although the stage asks for more, from who works on deals of others")
BODY = Param("body", "text", "The words", needed=True, most=50_000)
VERBS: tuple[Verb, ...] = (
    Verb(
        "deal", "win", "Close a deal as won", _win,
        (Param("closed_on", "day"), Param("reason", "text", most=120), Param("create_order", "yes", "Make an order of its lines"), OVERRIDE),
    ),
    Verb(
        "deal", "lose", "Close a deal as lost", _lose,
        (Param("reason", "text", needed=True, most=120), Param("competitor", "text", "Who won it, None where nobody did; needed from whoever may write it", most=120), Param("closed_on", "day")),
    ),
    Verb("deal", "move", "Move a deal to a stage", _move_deal, (Param("stage_id", "whole", needed=True), OVERRIDE)),
    Verb("deal", "reopen", "Take a closed deal up again", _reopen_deal, (Param("stage_id", "whole"), OVERRIDE)),
    Verb("lead", "qualify", "Say that a lead is worth a deal", lambda s, a, n, g: _nothing(leads.qualify(s, a, n))),
    Verb(
        "lead", "disqualify", "Say that a lead is not worth a deal", _disqualify,
        (Param("reason", "text", needed=True, most=120), Param("later", "yes", "Keep it for nurturing")),
    ),
    Verb("lead", "reopen", "Take a lead up again", lambda s, a, n, g: _nothing(leads.reopen(s, a, n))),
    Verb(
        "lead", "convert", "Turn a lead into account, contact and deal", _convert,
        (
            Param("account_id", "whole", "An existing one"), Param("contact_id", "whole", "An existing one"), Param("account_name", "text"),
            Param("deal_name", "text", "Without it no deal is made"), Param("amount_minor", "whole"),
        ),
    ),
    Verb(
        "ticket", "reply", "Answer the customer, or note something for colleagues", _reply,
        (BODY, Param("internal", "yes", "A note that the customer never sees"), Param("then", TicketKind, "Status afterwards")),
    ),
    Verb("ticket", "receive", "Enter what the customer said", _receive, (BODY, Param("author_name", "text", most=200))),
    Verb("ticket", "solve", "Mark a ticket as solved", lambda s, a, n, g: _nothing(tickets.solve(s, a, n))),
    Verb("ticket", "reopen", "Open a done ticket again", lambda s, a, n, g: _nothing(tickets.reopen(s, a, n))),
    Verb("order", "move", "Place, fulfil or cancel an order", _move_order, (Param("status", OrderStatus, needed=True),)),
    Verb(
        "order", "redeem", "Use a discount code on an order", _redeem, (Param("code", "text", "Shared or single", needed=True, most=40),),
    ),
    Verb(
        "order", "unredeem", "Take a discount code off an order", _take_code_off,
        (Param("redemption_id", "whole", "What redeem answered", needed=True),),
    ),
    Verb("promotion", "move", "Start, pause or end a promotion", _move_promotion, (Param("state", PromotionState, needed=True),)),
    Verb("task", "complete", "Tick a task off", lambda s, a, n, g: _nothing(tasks.complete(s, a, n))),
    Verb("task", "reopen", "Take a done task back", lambda s, a, n, g: _nothing(tasks.reopen(s, a, n))),
    Verb(
        "campaign", "members", "Add contacts or leads to a campaign", _add_members,
        (Param("kind", "text", "contact or lead", needed=True), Param("ids", "ids", "Up to 1,000 ids", needed=True)),
    ),
    *(
        Verb(
            key, "activities", "Log a call, an e-mail, a meeting or a note", _log_on(key),
            (
                Param("kind", ActivityKind, needed=True), Param("subject", "text"), Param("text", "text", most=50_000), Param("at", "instant"),
                Param("minutes", "whole"), Param("outcome", "text", most=120), Param("follow_up", "text"), Param("follow_up_on", "day"),
            ),
            Action.READ,
        )
        for key in LINKS
    ),
)  # fmt: skip


def _nothing(_record: Any) -> None:
    return None


def routes() -> APIRouter:
    """One route per verb."""
    router = APIRouter()
    for verb in VERBS:
        _add(router, verb)
    return router


def _add(router: APIRouter, verb: Verb) -> None:
    def act(request: Request, record_id: RecordId, body: Body) -> Response:
        asked, given = versions_asked(request, needed=False), told(verb.params, body)

        def command(session: Session, actor: Actor) -> Answer:
            record = records.get(session, actor, verb.entity, record_id, action=verb.action)
            check_version(session, actor, verb.entity, record, asked)
            result = verb.run(session, actor, record_id, dict(given))
            answer = shown(session, actor, verb.entity, record)
            return Answer(200, {"record": answer.body, "result": dict(result or {})}, answer.headers)

        return write(request, body, command)

    name = document.Operation(verb.entity).name
    router.add_api_route(
        f"/{path_of(verb.entity)}/{{record_id}}/{verb.name}", act, methods=["POST"],
        **document.described(
            f"{verb.name}_{verb.entity}", verb.summary, ENTITIES[verb.entity].plural, ok=f"{name}Done", body=schema(verb.params)
        ),
    )  # fmt: skip


# --- what a verb is told ---------------------------------------------------------------------------------------------------------

_SHAPES: dict[str, dict[str, Any]] = {
    "text": {"type": "string"}, "whole": {"type": "integer", "minimum": 0}, "yes": {"type": "boolean"},
    "day": {"type": "string", "format": "date"}, "instant": {"type": "string", "format": "date-time"},
    "ids": {"type": "array", "items": {"type": "integer", "minimum": 1}, "maxItems": 1000, "minItems": 1},
}  # fmt: skip
_WORDS = {
    "text": "a text", "whole": "a whole number", "yes": "true or false", "day": "a date such as 2026-05-31",
    "instant": "an instant such as 2026-05-31T09:30:00Z", "ids": "a list of up to 1,000 ids",
}  # fmt: skip


def schema(params: tuple[Param, ...]) -> dict[str, Any]:
    """The shape of a verb's body."""
    given = {}
    for one in params:
        made = dict(_SHAPES[one.kind]) if isinstance(one.kind, str) else {"enum": list(one.kind.options())}
        made |= {"maxLength": one.most} if one.kind == "text" else {}
        made |= {"description": one.help} if one.help else {}
        given[one.key] = made
    return {
        "type": "object", "properties": given, "required": [one.key for one in params if one.needed], "additionalProperties": False
    }  # fmt: skip


def told(params: tuple[Param, ...], body: Mapping[str, Any]) -> dict[str, Any]:
    """What was sent, typed. Raises Invalid with a sentence per part that is wrong, missing or unknown."""
    known = {one.key: one for one in params}
    wrong = {key[:80]: f"“{key[:80]}” means nothing here." for key in body if key not in known}
    found: dict[str, Any] = {}
    for key, one in known.items():
        if body.get(key) is None:
            wrong |= {key: "This is needed."} if one.needed else {}
            continue
        try:
            found[key] = _typed(one, body[key])
        except ValueError:
            words = _WORDS[one.kind] if isinstance(one.kind, str) else f"one of {', '.join(one.kind.options())}"
            wrong[key] = f"This must be {words}."
    if wrong:
        raise Invalid(fields=wrong)
    return found


def _typed(one: Param, value: Any) -> Any:
    if not isinstance(one.kind, str):
        return one.kind(value)
    fits = {
        "text": isinstance(value, str) and len(value) <= one.most,
        "whole": isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53,
        "yes": isinstance(value, bool),
        "day": isinstance(value, str) and len(value) == 10,
        "instant": isinstance(value, str),
        "ids": isinstance(value, list) and 0 < len(value) <= 1000 and all(type(n) is int and 0 < n < 2**31 for n in value),
    }
    if not fits[one.kind]:
        raise ValueError(one.key)
    if one.kind == "day":
        return date.fromisoformat(value)
    if one.kind == "instant":
        found = datetime.fromisoformat(value)
        return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
    return value
