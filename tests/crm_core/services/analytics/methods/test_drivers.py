"""Driver analysis: what was planted is found, what gives the answer away is kept out, nobody explains rows they may not see."""

import json
import random
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlmodel import select

from crm_core import lists
from crm_core.db import read_session, write_session
from crm_core.lists import ListQuery
from crm_core.models import Account, Contact, Deal, Order, Stage
from crm_core.vocabulary import AccountKind, OrderStatus, StageKind
from ml.errors import DataError
from tests.crm_core.services.analytics.methods.asking import ask

TODAY = date(2026, 3, 18)


def company(owner, *, n=400, seed=5):
    """Deals that are won more often from referrals and in retail; size of the account and the name of the competitor do nothing or follow."""
    rng = random.Random(seed)
    with write_session() as session:
        stages = {stage.kind: stage for stage in session.exec(select(Stage))}
        accounts = [
            Account(name=f"A{k}", industry=rng.choice(["Retail", "Services"]), employees=rng.randrange(5, 500)) for k in range(40)
        ]
        session.add_all([*accounts, Contact(name="C")])
        session.flush()
        for _ in range(n):
            account, source = rng.choice(accounts), rng.choice(["Referral", "Website", "Event"])
            won = rng.random() < 0.25 + 0.35 * (source == "Referral") + 0.25 * (account.industry == "Retail")
            stage = stages[StageKind.WON if won else StageKind.LOST]
            closed = TODAY - timedelta(days=rng.randrange(1, 300))
            session.add(
                Deal(
                    name="D", pipeline_id=stage.pipeline_id, stage_id=stage.id, outcome=stage.kind, owner_id=owner, account_id=account.id,
                    source=source, amount_minor=rng.randrange(100_00, 90_000_00), created_on=closed - timedelta(days=40), closed_on=closed,
                    probability_pct=stage.probability_pct, stage_since=datetime(2026, 1, 1, tzinfo=UTC), lost_reason=None if won else "Price",
                )
            )  # fmt: skip


def test_what_was_planted_is_found_said_in_sentences_and_leads_to_the_deals(cast):
    company(cast["alice"].user_id)
    found = ask(
        "drivers",
        cast["alice"],
        TODAY,
        goal="deal_won",
        factors=["deal:source", "account:industry", "account:employees", "deal:amount_minor"],
    )
    assert found.reliable == "yes" and "AUC of 0." in found.verdict
    drivers = found.tables["drivers"]
    assert {"Source", "Industry of the account"} <= set(drivers["column"].head(3))
    top = drivers.iloc[0]
    assert top["column"] == "Source" and "odds of Won = Yes by" in top["sentence"]
    leaf = json.loads(drivers.loc[drivers["column"] == "Industry of the account", "leaf"].iloc[0])
    assert leaf["field"] == "account.industry"
    with read_session() as session:
        count, _ = lists.totals(session, cast["alice"], "deal", ListQuery(filter={"op": "and", "items": [leaf]}))
    assert 100 < count < 300
    alike = found.tables["alike"].set_index("what")
    assert alike["low"].notna().all() and (alike["matched"] > 0.8).all()
    assert found.tables["coefficients"]["vif"].dropna().max() < 2


def test_fields_that_know_the_outcome_are_never_offered_and_are_named(cast):
    company(cast["alice"].user_id, n=60)
    from crm_core.services.analytics.methods.drivers import factor_choices

    with read_session() as session:
        offered = factor_choices(session, cast["root"])
    assert not {
        "deal:lost_reason",
        "deal:stage_id",
        "deal:probability_pct",
        "deal:competitor",
        "deal:outcome",
        "account:kind",
    } & set(offered)
    assert "deal:source" in offered and "contact:birthday" not in offered
    found = ask("drivers", cast["root"], TODAY, goal="deal_won")
    assert any("Lost reason is filled in for lost deals only" in line for line in found.summary["left_out"])


def test_a_fact_that_is_filled_in_for_one_outcome_only_is_pointed_at(cast):
    company(cast["alice"].user_id, n=200)
    with write_session() as session:
        for deal in session.exec(select(Deal)):
            deal.source = (
                "Referral"
                if deal.id % (5 if deal.outcome is StageKind.WON else 9) > (0 if deal.outcome is StageKind.WON else 7)
                else None
            )
    found = ask("drivers", cast["root"], TODAY, goal="deal_won", factors=["deal:source", "deal:amount_minor"])
    assert any("Source is filled in for" in line and "of the no" in line for line in found.warnings) and found.reliable == "partly"


def test_nobody_explains_deals_that_they_may_not_see_and_too_few_are_refused(cast):
    company(cast["charlie"].user_id, n=60)
    with pytest.raises(DataError) as refused:
        ask("drivers", cast["alice"], TODAY, goal="deal_won")
    assert "closed deals" in refused.value.needed and refused.value.found == "0"
    assert ask("drivers", cast["charlie"], TODAY, goal="deal_won").summary["rows"] == 60


def test_noise_explains_nothing_and_the_page_says_so(cast):
    company(cast["alice"].user_id, n=80)
    rng = random.Random(2)
    with write_session() as session:
        for deal in session.exec(select(Deal)):
            deal.source = rng.choice(["A", "B"])
    found = ask("drivers", cast["root"], TODAY, goal="deal_amount", factors=["deal:source", "account:employees"])
    assert found.reliable == "no" and "no better than the average" in found.verdict


def test_companies_that_stopped_ordering_are_told_by_what_was_known_before(cast):
    rng = random.Random(8)
    with write_session() as session:
        for k in range(120):
            retail = k % 2 == 0
            account = Account(name=f"A{k}", kind=AccountKind.CUSTOMER, industry="Retail" if retail else "Services")
            session.add(account)
            session.flush()
            stays = rng.random() < (0.9 if retail else 0.3)
            for days in (500, 400, 300, *([20] if stays else [])):
                at = datetime(2026, 3, 18, tzinfo=UTC) - timedelta(days=days)
                session.add(
                    Order(
                        number=f"{k}-{days}",
                        account_id=account.id,
                        owner_id=cast["alice"].user_id,
                        status=OrderStatus.PLACED,
                        ordered_at=at,
                        total_minor=9_00,
                    )
                )
    found = ask(
        "drivers",
        cast["root"],
        TODAY,
        goal="account_churned",
        factors=["account:industry", "account:=customer_months", "account:=tickets"],
    )
    assert found.tables["drivers"]["column"].tolist() == ["Industry"] and found.summary["entity"] == "account"
    assert json.loads(found.tables["drivers"]["leaf"].iloc[0])["field"] == "industry"
