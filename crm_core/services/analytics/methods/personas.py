"""Personas: segments as people, named by what sets them apart, with a rule that finds them and a test of whether they are of use."""

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlmodel import Session

from crm_core.access import Actor
from crm_core.frames import customers as customer_frames
from crm_core.services.analytics import segment_rules
from crm_core.services.analytics.methods.base import Method, Outcome, Param, Report
from crm_core.services.analytics.methods.segmentation import (
    CLUSTER_COUNTS,
    PERIODS,
    attribute_choices,
    editable,
    field_words,
    fields_of,
    first_day,
)
from crm_core.services.analytics.segment_rules import BEHAVIOUR

if TYPE_CHECKING:
    import pandas as pd

ANSWERED, TICKETS = "answered a campaign", "tickets"


def _compute(session: Session, actor: Actor, params: dict[str, Any], as_of: datetime, report: Report) -> Outcome:
    from ml.clusters import fit_segments
    from ml.errors import DataError
    from ml.personas import build_personas

    used, held = fields_of(params, "attributes"), fields_of(params, "held_out")
    used = [key for key in used if key not in held]
    words = field_words(session, actor, params["customer"], [*used, *held])
    chosen = [*params["behaviour"], *(words[key] for key in used)]
    if not chosen:
        raise DataError("none", "at least one thing to tell customers apart by")
    frame, lines, since = _customers(session, actor, params, as_of, [*used, *held])
    frame = frame.rename(columns=words)
    report(0.15, "Trying numbers of personas")
    k = params["clusters"] if params["clusters"] == "auto" else int(params["clusters"])
    found = fit_segments(
        frame[["customer_id", *chosen]],
        k=k,
        k_max=params["most"],
        seed=params["seed"],
        progress=lambda done, words: report(0.15 + 0.6 * done, _in_words(words).capitalize()),
    )
    told = {
        "sql": _sql(session, actor, params, [*used, *held], as_of),
        "python": _snippet(chosen, [words[key] for key in held], params),
    }
    if found.k < 2:
        return _none(found, frame, told)
    report(0.8, "Who they are")
    extra = _observed(session, actor, params["customer"], frame, since, as_of)
    described = frame.merge(extra, on="customer_id", how="left")
    held_out = [*(words[key] for key in held), *[name for name in extra.columns if name != "customer_id"]]
    described = described[["customer_id", *chosen, *held_out]]
    personas = build_personas(
        described, found.labels, held_out=held_out, orders=lines if len(lines) else None,
        touchpoints=_touches(session, actor, params["customer"], since, as_of), as_of=as_of if len(lines) else None, seed=params["seed"],
    )  # fmt: skip
    cards = [_card(session, actor, card, params, used) for card in personas.cards]
    names = {card["segment"]: card["name"] for card in cards}
    customers = found.labels.rename("persona").rename_axis("customer_id").reset_index()
    customers["name"] = customers["persona"].map(names)
    return Outcome(
        verdict=_in_words(found.advice[0]),
        reliable=_reliable(found),
        summary={
            "customers": len(frame),
            "personas": found.k,
            "worst_jaccard": _worst(found),
            "agreement": personas.fidelity.value,
            "cards": cards,
        },
        tables={
            "traits": personas.traits,
            "held_out": personas.held_out,
            "usefulness": personas.usefulness,
            "stability": found.stability,
            "customers": customers,
        },
        warnings=[*dict.fromkeys(_in_words(line) for line in (*personas.advice, *found.advice[1:]))],
        missing=[] if held_out else ["Hold something out (a response, complaints) to see whether the personas are of use."],
        sql=told["sql"],
        python=_snippet(chosen, held_out, params),
        marks=_marks(customers, params["customer"]),
    )


def _sql(session: Session, actor: Actor, params: dict[str, Any], fields: list[str], as_of: datetime) -> str:
    """The customers, and their orders where these were looked at."""
    from crm_core.frames.orders import orders_query
    from crm_core.frames.read import sql_of

    specs = [_spec(session, actor, params, key) for key in fields]
    asked = {"The customers": customer_frames.query(session, actor, params["customer"], specs, rule=params["filter"], now=as_of)}
    if params["behaviour"]:
        asked["Their orders"] = orders_query(actor, customer=params["customer"], since=first_day(params, as_of), until=as_of)
    return ";\n\n".join(f"-- {words}\n{sql_of(session, statement)}" for words, statement in asked.items())


def _in_words(line: str) -> str:
    """A sentence about groups, said of personas."""
    return line.replace("groups", "personas").replace("group", "persona")


def _spec(session: Session, actor: Actor, params: dict[str, Any], key: str) -> Any:
    return customer_frames.attributes(session, actor, params["customer"])[key]


def _customers(
    session: Session, actor: Actor, params: dict[str, Any], as_of: datetime, fields: list[str]
) -> tuple["pd.DataFrame", "pd.DataFrame", datetime | None]:
    """Customers with fields and, when it is asked for, how they bought; what they bought, with categories if there are lines; the first day."""
    from crm_core.frames.orders import order_lines, orders
    from ml.rfm import rfm_table

    customer, since = params["customer"], first_day(params, as_of)
    people = customer_frames.customers(session, actor, customer, fields=fields, rule=params["filter"], now=as_of)
    bought = orders(session, actor, customer=customer, since=since, until=as_of)
    bought = bought[bought["customer_id"].isin(people["customer_id"])]
    if params["behaviour"]:
        rfm = rfm_table(bought.assign(revenue=bought["revenue"].clip(lower=0)), as_of=as_of)
        people = people.merge(rfm[["customer_id", *params["behaviour"]]], on="customer_id", how="inner")
    lines = order_lines(session, actor, customer=customer, since=since, until=as_of)
    lines = lines[lines["customer_id"].isin(people["customer_id"])]
    return people, lines if len(lines) else bought, since


def _observed(
    session: Session, actor: Actor, customer: str, frame: "pd.DataFrame", since: datetime | None, as_of: datetime
) -> "pd.DataFrame":
    """What took no part and may still differ: answers to campaigns and tickets, where there are any."""
    from crm_core.frames import engagement

    found = frame[["customer_id"]]
    if customer == "contact":
        answers = engagement.answers(session, actor).rename(columns={"answered": ANSWERED})
        if len(answers):
            found = found.merge(answers, on="customer_id", how="left")
            found[ANSWERED] = found[ANSWERED].fillna(0).astype(int)
    opened = engagement.tickets(session, actor, customer, since=since, until=as_of)
    if len(opened):
        found = found.merge(opened, on="customer_id", how="left")
        found[TICKETS] = found[TICKETS].fillna(0).astype(int)
    return found


def _touches(session: Session, actor: Actor, customer: str, since: datetime | None, as_of: datetime) -> "pd.DataFrame | None":
    from crm_core.frames.touchpoints import touchpoints

    if customer != "contact":
        return None
    found = touchpoints(session, actor, since=since, until=as_of)
    return found if len(found) else None


def _card(session: Session, actor: Actor, card: Any, params: dict[str, Any], used: list[str]) -> dict[str, Any]:
    """A card as plain values, its rule as a filter."""
    rule = editable(session, actor, params, card.rule, used, buyers=bool(params["behaviour"])) if card.rule else None
    interval = card.value_12m
    channel = card.preferred_channel
    return {
        "segment": int(card.segment), "name": segment_rules.persona_name(card.name), "n": card.n, "share": card.share, "traits": list(card.traits), "rule": rule,
        "rule_words": card.rule_text, "precision": card.precision.value if card.precision else None,
        "recall": card.recall.value if card.recall else None,
        "value": [interval.estimate, interval.low, interval.high] if interval else None,
        "channel": [channel.name, channel.lift, channel.low, channel.high] if channel else None,
        "categories": [[one.name, one.lift, one.low, one.high] for one in card.top_categories],
        "held_out": list(card.held_out), "suggestion": card.suggestion,
    }  # fmt: skip


def _none(found: Any, frame: "pd.DataFrame", told: dict[str, str]) -> Outcome:
    return Outcome(
        verdict="There are no personas here. " + found.advice[0],
        reliable="no",
        summary={"customers": len(frame), "personas": 1, "worst_jaccard": None, "agreement": None, "cards": []},
        tables={"stability": found.stability},
        warnings=[_in_words(line) for line in found.advice[1:]],
        sql=told["sql"],
        python=told["python"],
    )


def _worst(found: Any) -> float | None:
    chosen = found.stability[found.stability["k"] == found.k]
    return float(chosen["worst_jaccard"].iloc[0]) if len(chosen) else None


def _reliable(found: Any) -> Any:
    from ml.limits import HIGHLY_STABLE, PATTERN

    worst = _worst(found) or 0.0
    if "don't target" in found.advice[0]:
        return "no"
    return "yes" if worst >= HIGHLY_STABLE else "partly" if worst >= PATTERN else "no"


def _marks(customers: "pd.DataFrame", customer: str) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame(
        {
            "kind": "persona", "entity": customer, "record_id": customers["customer_id"], "number": customers["persona"].astype(float),
            "label": customers["name"], "detail": None,
        }
    )  # fmt: skip


def _snippet(chosen: list[str], held_out: list[str], params: dict[str, Any]) -> str:
    k = '"auto"' if params["clusters"] == "auto" else params["clusters"]
    return f"""import pandas as pd
from ml.clusters import fit_segments
from ml.personas import build_personas

customers = pd.read_csv("customers.csv")  # one row per customer, with the columns below
found = fit_segments(customers[{["customer_id", *chosen]}], k={k}, k_max={params["most"]}, seed={params["seed"]})
personas = build_personas(customers[{["customer_id", *chosen, *held_out]}], found.labels, held_out={held_out})
for card in personas.cards:
    print(card.name, card.n, card.traits, card.held_out)
"""


METHOD = Method(
    kind="personas",
    title="Personas",
    entities=("contact", "account", "order"),
    also=("campaign", "ticket"),
    tables=(
        "contact",
        "account",
        "sales_order",
        "order_line",
        "custom_field",
        "touchpoint",
        "campaign_member",
        "campaign",
        "ticket",
    ),
    params=(
        Param("customer", "Customers", "choice", "contact", {"contact": "People", "account": "Companies"}),
        Param("months", "Orders of", "choice", "24", PERIODS),
        Param("clusters", "Number of personas", "choice", "auto", CLUSTER_COUNTS),
        Param("behaviour", "Made from buying", "multi", ["frequency", "monetary", "recency_days"], BEHAVIOUR),
        Param("attributes", "And from fields", "multi", [], attribute_choices),
        Param(
            "held_out",
            "Held out",
            "multi",
            [],
            attribute_choices,
            help="Takes no part in making them, and shows whether they are of use",
        ),
        Param("filter", "Only customers that match", "filter", None, entity="@customer", advanced=True),
        Param("most", "At most", "int", 8, low=2, high=12, advanced=True, help="Largest number of personas that is tried"),
        Param("seed", "Seed", "int", 1, low=0, high=1_000_000, advanced=True, help="The same seed gives the same result"),
    ),
    compute=_compute,
    how=(
        "Customers are grouped by k-means on logged, standardised values into the finest number of groups that stays the same when the data is redrawn. "
        "Each group is named by the traits that set it apart most; a trait counts when it can't be chance among all that were tested and is not tiny. "
        "What was held out took no part in groups, names or rules: where a persona differs in it, the personas are of use. Rates carry Wilson intervals."
    ),
)
