"""A small random company for the figures' tests: deals, leads, orders, tickets and campaigns with every awkward value in them."""

import random
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlmodel import select

from crm_core.db import write_session
from crm_core.models import (
    Account,
    Campaign,
    CampaignChannel,
    Deal,
    Lead,
    LeadStatus,
    Order,
    Pipeline,
    Product,
    Stage,
    Ticket,
)
from crm_core.services.admin import setup
from crm_core.vocabulary import Channel, HandoverState, OrderStatus, PromiseOutcome, StageKind, TicketKind

NOW = datetime(2026, 3, 15, 12, tzinfo=UTC)
TODAY = NOW.date()
SOURCES = (None, "", "Website", "website", "Référral", "REFÉRRAL", "O'Neil %_", "Event")


@dataclass(frozen=True)
class Company:
    """Ids that tests need to name."""

    pipelines: tuple[int, ...]
    campaigns: tuple[int, ...]


def fill(cast, seed, *, size=200):
    """Fill the workspace; the same seed gives the same company."""
    rng = random.Random(seed)
    owners = [None, *(actor.user_id for actor in cast.values())]
    with write_session() as session:
        setup.create_pipeline(session, "Partners")
        stages = session.exec(select(Stage)).all()
        products = [Product(name=name) for name in ("Alpha", "Beta", "Gamma")]
        campaigns = [
            Campaign(
                name=f"C{n}", starts_on=_day(rng) if n else None, owner_id=rng.choice(owners), deleted_at=NOW if n == 4 else None
            )
            for n in range(6)
        ]
        session.add_all([*products, *campaigns])
        session.flush()
        session.add_all(
            CampaignChannel(campaign_id=rng.choice(campaigns).id, channel=Channel.EMAIL, actual_cost_minor=rng.randrange(0, 90_000))
            for _ in range(9)
        )
        session.add_all(_deal(rng, stages, owners, products, campaigns) for _ in range(size))
        statuses = session.exec(select(LeadStatus)).all()
        session.add_all(_lead(rng, statuses, owners) for _ in range(size // 2))
        session.add_all(_order(rng, owners, n) for n in range(size // 2))
        session.add_all(_ticket(rng, owners, n) for n in range(size // 2))
        session.add_all(_account(rng, owners) for _ in range(size // 10))
        session.flush()
        pipelines = tuple(session.exec(select(Pipeline.id).order_by(Pipeline.id)))
        return Company(pipelines, tuple(campaign.id for campaign in campaigns))


def _day(rng: random.Random) -> date:
    return TODAY - timedelta(days=rng.choice((0, 1, 29, 30, 59, 60, 364, 365, 366, rng.randrange(900))))


def _instant(rng: random.Random) -> datetime:
    # Close to midnight on purpose: the day of an instant depends on the time zone.
    return datetime.combine(_day(rng), datetime.min.time(), UTC) + timedelta(seconds=rng.choice((0, 1, 3_599, 82_800, 86_399)))


def _deal(rng, stages, owners, products, campaigns):
    stage = rng.choice(stages)
    opened = _day(rng) - timedelta(days=rng.randrange(0, 200))
    closed = opened + timedelta(days=rng.randrange(0, 250)) if stage.kind is not StageKind.OPEN else None
    return Deal(
        name="d",
        pipeline_id=stage.pipeline_id,
        stage_id=stage.id,
        outcome=stage.kind,
        owner_id=rng.choice(owners),
        amount_minor=rng.choice((0, 1, 99, rng.randrange(10_000_000), 9_000_000_000_000_000 if rng.random() < 0.01 else 5)),
        probability_pct=rng.choice((stage.probability_pct, rng.randrange(101))),
        created_on=opened,
        closed_on=closed if rng.random() > 0.03 else None,
        expected_close_on=rng.choice((None, TODAY + timedelta(days=rng.randrange(-40, 40)))),
        stage_since=_instant(rng),
        last_activity_at=rng.choice((None, _instant(rng))),
        next_step=rng.choice((None, "", "Call")),
        source=rng.choice(SOURCES),
        product_id=rng.choice((None, *(product.id for product in products))),
        campaign_id=rng.choice((None, *(campaign.id for campaign in campaigns))),
        deleted_at=NOW if rng.random() < 0.05 else None,
    )


def _lead(rng, statuses, owners):
    created = _instant(rng)
    return Lead(
        name="l",
        status_id=rng.choice(statuses).id,
        owner_id=rng.choice(owners),
        created_at=created,
        source=rng.choice(SOURCES),
        converted_at=rng.choice((None, None, created + timedelta(days=2))),
        deleted_at=NOW if rng.random() < 0.05 else None,
    )


def _order(rng, owners, n):
    return Order(
        number=f"O-{n}",
        owner_id=rng.choice(owners),
        status=rng.choice(list(OrderStatus)),
        ordered_at=_instant(rng),
        total_minor=rng.randrange(1_000_000),
        source=rng.choice(SOURCES),
        deleted_at=NOW if rng.random() < 0.05 else None,
    )


def _ticket(rng, owners, n):
    opened, status = _instant(rng), rng.choice(list(TicketKind))
    solved = opened + timedelta(minutes=rng.randrange(1, 90_000)) if status in (TicketKind.SOLVED, TicketKind.CLOSED) else None
    own = random.Random(f"{n} {opened}")
    again = own.choice((0, 0, 0, 1, 2)) if solved else own.choice((0, 0, 0, 1))
    rated = own.choice((None, None, opened + timedelta(minutes=own.randrange(50_000))))
    return Ticket(
        reopened_count=again,
        first_solved_at=solved if solved and not again else opened + timedelta(minutes=own.randrange(1, 9_000)) if again else None,
        answer_count=own.randrange(4),
        response_promise=own.choice((None, PromiseOutcome.KEPT, PromiseOutcome.LATE)),
        resolution_promise=own.choice((None, PromiseOutcome.KEPT, PromiseOutcome.LATE)),
        response_minutes=own.choice((None, own.randrange(500))),
        resolution_minutes=own.choice((None, own.randrange(5_000))),
        satisfaction=own.randrange(1, 6) if rated else None,
        rated_at=rated,
        number=f"T-{n}",
        subject="t",
        status=status,
        owner_id=rng.choice(owners),
        opened_at=opened,
        first_response_at=rng.choice((None, opened + timedelta(minutes=rng.randrange(600)))),
        solved_at=solved if rng.random() > 0.05 else None,
        category=rng.choice((None, "Question", "Problem")),
        deleted_at=NOW if rng.random() < 0.05 else None,
    )


def _account(rng, owners):
    state = rng.choice((None, HandoverState.PENDING, HandoverState.ACCEPTED, HandoverState.DECLINED))
    return Account(
        name="a",
        owner_id=rng.choice(owners),
        handover_state=state,
        handover_at=_instant(rng) if state else None,
        deleted_at=NOW if rng.random() < 0.1 else None,
    )
