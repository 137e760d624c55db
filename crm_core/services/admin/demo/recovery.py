"""The demo that teaches: what was planted in the company, and what each analysis made of it. Only for the demo workspace."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import func, literal, select
from sqlmodel import Session

from crm_core.access import Actor, require, visible
from crm_core.errors import CrmError, NotFound
from crm_core.fields import registry
from crm_core.frames.read import read_frame
from crm_core.kit import clock
from crm_core.models import Account, Contact, Organisation, Product
from crm_core.services.admin.demo import recovery_rules as rules
from crm_core.services.admin.demo.scales import Truth, truth
from crm_core.services.admin.demo.words import words
from crm_core.services.analytics import runs
from crm_core.services.analytics.methods import method
from crm_core.vocabulary import Action, Recovery, RunState

_ACCOUNTS: Any = Account.__table__  # type: ignore[attr-defined]
_CONTACTS: Any = Contact.__table__  # type: ignore[attr-defined]
_PRODUCTS: Any = Product.__table__  # type: ignore[attr-defined]
Judge = Callable[..., rules.Judgement]
SAMPLE = 10_000
"""About so many people are compared with what was planted in them."""


@dataclass(frozen=True)
class Check:
    """One planted thing. ``kind`` and ``params``: the analysis that should find it; ``judge(session, actor)`` makes the rule that compares;
    ``address``: what the page needs to show this analysis and not its neighbour."""

    key: str
    title: str
    page: str
    kind: str
    planted: str
    judge: Callable[[Session, Actor], Judge]
    params: dict[str, Any] = field(default_factory=dict)
    address: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """One planted thing with what was found, in plain words. ``run_id``: the run it was read from; ``active``: it is being computed."""

    key: str
    title: str
    planted: str
    page: str
    address: dict[str, str]
    state: Recovery
    found: str
    run_id: int | None = None
    active: bool = False


@dataclass(frozen=True)
class Standing:
    """The run that answers a check now. ``words``: why there is nothing to judge yet, or no more; empty when it can be judged."""

    key: str
    run_id: int | None
    state: Recovery
    words: str
    active: bool = False


def checks(planted: Truth) -> tuple[Check, ...]:
    """Everything that is compared, in the order of the page."""
    rule = words("products")["rule"]
    return (
        Check(
            "lift", "Hold-outs", "attribution", "attribution",
            f"Every campaign raises responses by {100 * planted.campaign_lift:.0f} points; a fifth of its people was left out at random.",
            _always(rules.lift), {"conversion": "deals", "level": "channel", "months": "all"},
        ),
        Check(
            "letter", "Hold-out of the letter", "attribution", "attribution",
            f"One campaign wrote to everybody by letter and raised responses by {100 * planted.letter_lift:.0f} points; "
            f"{100 * planted.letter_control_share:.0f}% were left out at random.",
            _always(rules.letter), {"conversion": "deals", "level": "channel", "months": "all"},
        ),
        Check(
            "credit", "Attribution", "attribution", "attribution",
            f"{', '.join(rules.NO_EFFECT)} cause nothing at all. They only lie on the way.",
            _always(rules.credit), {"conversion": "deals", "level": "channel", "months": "all"},
        ),
        Check(
            "deal_score", "Deal score", "scoring", "deal_score",
            "Referrals win more often (+0.9), and so do deals with more people in the buying committee (+0.35 each).", _always(rules.effects("deal")),
            address={"of": "Deals"},
        ),
        Check(
            "lead_score", "Lead score", "scoring", "lead_score",
            "Leads by referral convert more often (+1.1), those by paid search less (−0.9).", _always(rules.effects("lead")),
            address={"of": "Leads"},
        ),
        Check(
            "drivers", "Drivers of deals", "drivers", "drivers", "The same two effects on winning: +0.9 for referrals, +0.35 per person.",
            _always(rules.drivers), {"goal": "deal_won"},
        ),
        Check(
            "discount", "Drivers of deals: discounts", "drivers", "drivers", "Discounts change nothing about winning.", _always(rules.discount),
            {"goal": "deal_won"},
        ),
        Check(
            "basket", "Basket rules", "basket", "basket",
            f"In {100 * planted.rule_order_share:.0f}% of the larger orders {' and '.join(rule['if'])} lead to {rule['then']}, in "
            f"{100 * planted.rule_confidence:.0f}% of the cases.",
            lambda session, actor: rules.basket(_products(session, actor), rule),
        ),
        Check(
            "kinds", "Segmentation", "segmentation", "segmentation",
            f"Four kinds of buyers, who order {', '.join(f'{kind.orders_per_year:g}' for kind in planted.kinds.values())} times a year.",
            lambda session, actor: rules.kinds(_facts(session, actor, "contact")), {"customer": "contact"},
        ),
        Check(
            "leaving", "Churn and value", "value", "value",
            f"Customers with a monthly contract leave {planted.monthly_hazard_factor:g} times as fast as those with a yearly one.",
            lambda session, actor: rules.leaving(_facts(session, actor, "contact")), {"customer": "contact"},
        ),
        Check(
            "contracts", "Contracts at risk", "value", "churn",
            f"Contracts by the month end {planted.monthly_hazard_factor:g} times as fast as those by the year, and customers in trouble "
            f"{planted.trouble_hazard_factor:g} times as fast: they complain in the months before.",
            _always(rules.contracts), {"group": "x_contract"}, {"of": "Under contract"},
        ),
        Check(
            "season", "Forecast", "forecast", "forecast", "Orders grow by 18% a year, rise before Christmas and rest in August.",
            _always(rules.season), {"series": "order_revenue"},
        ),
    )  # fmt: skip


def _always(judge: Judge) -> Callable[[Session, Actor], Judge]:
    return lambda session, actor: judge


def findings(session: Session, actor: Actor) -> list[Finding]:
    """Each planted thing with what the actor's latest run of the tool says about it. NotFound outside the demo company."""
    return told(standing(session, actor), lambda key, run_id: judgement(session, actor, key, run_id))


def told(stands: list[Standing], judge: Callable[[str, int], tuple[Recovery, str]]) -> list[Finding]:
    """The findings, each judged by ``judge(key, run_id)``: a page may remember what it said about a run, which never changes."""
    known = {check.key: check for check in checks(truth())}
    found = []
    for one in stands:
        check = known[one.key]
        ready = not one.words and one.run_id is not None
        state, words = judge(one.key, one.run_id or 0) if ready else (one.state, one.words)
        found.append(
            Finding(check.key, check.title, check.planted, check.page, check.address, state, words, one.run_id, one.active)
        )
    return found


def standing(session: Session, actor: Actor) -> list[Standing]:
    """Which run of the actor's answers each check, and how far it is: cheap, so that a page can ask while it waits."""
    _demo_only(session, actor)
    offered = _offered(actor)
    rows = {kind: runs.find(session, actor, kind) for kind in dict.fromkeys(check.kind for check in offered)}
    return [_standing(session, actor, check, rows[check.kind]) for check in offered]


def judgement(session: Session, actor: Actor, key: str, run_id: int) -> tuple[Recovery, str]:
    """What a finished run says about a planted thing. Reads its tables, which takes seconds where there are many customers."""
    check = next((one for one in _offered(actor) if one.key == key), None)
    if check is None:
        raise NotFound("There is no such check.")
    _demo_only(session, actor)
    run = runs.get(session, actor, run_id, check.kind)
    return check.judge(session, actor)(run.summary, lambda name: runs.table(session, actor, run_id, name), truth())


def _demo_only(session: Session, actor: Actor) -> None:
    require(actor, "analytics", Action.READ)
    if not session.execute(select(Organisation.is_demo)).scalar():  # type: ignore[call-overload]
        raise NotFound("This page belongs to the demo company, where the truth is known.")


def _offered(actor: Actor) -> list[Check]:
    """Checks of analyses that exist here and whose records the actor may read."""
    found = []
    for check in checks(truth()):
        try:
            needed = method(check.kind).entities
        except NotFound:
            continue
        if all(actor.can(entity, Action.READ) for entity in needed):
            found.append(check)
    return found


def _standing(session: Session, actor: Actor, check: Check, rows: list[runs.RunRow]) -> Standing:
    row = _run_of(check, rows)
    if row is None:
        return Standing(check.key, None, Recovery.OPEN, "Nobody has run it over the records that you see.")
    if row.state is RunState.DONE:
        return Standing(check.key, row.id, Recovery.FOUND, "")
    run = runs.get(session, actor, row.id)
    if run.active:
        return Standing(check.key, run.id, Recovery.OPEN, run.step or run.waits or "Being computed.", active=True)
    return Standing(check.key, run.id, Recovery.UNSURE, run.verdict)


def _run_of(check: Check, rows: list[runs.RunRow]) -> runs.RunRow | None:
    """The latest run that asked what the check needs."""
    for row in rows:
        if row.state is not RunState.FAILED and all(str(row.params.get(key)) == str(value) for key, value in check.params.items()):
            return row
    return None


def run_all(session: Session, actor: Actor) -> int:
    """Ask for every analysis that the page compares; gives how many different ones. What is known already is not computed again."""
    _demo_only(session, actor)
    asked = set()
    for check in _offered(actor):
        try:
            asked.add(runs.request(session, actor, check.kind, check.params, clock.today(actor.timezone)))
        except CrmError:
            continue  # an analysis that this person may not run stays "not run yet"
    return len(asked)


def _products(session: Session, actor: Actor) -> dict[str, int]:
    query = select(_PRODUCTS.c.name, _PRODUCTS.c.id).where(visible(actor, "product", _PRODUCTS))
    return dict(session.execute(query).tuples().all())


def _facts(session: Session, actor: Actor, customer: str) -> Any:
    """Industry and contract by customer_id, as the company of the person tells them: of every n-th person where there are many, so that
    the comparison stays quick."""
    every = (session.execute(select(func.max(_CONTACTS.c.id))).scalar() or 0) // SAMPLE + 1
    contract = registry(session, "account").get("x_contract")
    query = (
        select(
            _CONTACTS.c.id.label("customer_id"),
            _ACCOUNTS.c.industry,
            (contract.expression(_ACCOUNTS) if contract is not None else literal("")).label("contract"),
        )
        .join(_ACCOUNTS, _ACCOUNTS.c.id == _CONTACTS.c.account_id)
        .where(_CONTACTS.c.id % every == 0, visible(actor, customer, _CONTACTS), visible(actor, "account", _ACCOUNTS))
    )
    return read_frame(session, query)
