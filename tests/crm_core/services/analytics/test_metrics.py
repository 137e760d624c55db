"""The number on the page, the list behind it and the bare records agree to the cent, for everyone."""

from collections import Counter
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from fractions import Fraction
from statistics import median
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from sqlalchemy import text
from sqlmodel import select

from crm_core import lists, summaries
from crm_core.db import read_session, versions, write_session
from crm_core.errors import NotFound, NotPermitted
from crm_core.fields import builtin
from crm_core.kit.clock import frozen
from crm_core.lists import ListQuery
from crm_core.models import Account, Campaign, CampaignChannel, Contact, Deal, Lead, Order, Organisation, Stage, Ticket, Touchpoint
from crm_core.services.analytics import acquisition, breakdowns, metrics
from crm_core.services.analytics.metric_rules import AREAS, METRICS, list_filter
from crm_core.services.analytics.periods import Period
from crm_core.settings import settings
from crm_core.vocabulary import SOLD, Against, Channel, HandoverState, PeriodPreset, PromiseOutcome, StageKind, TicketKind
from tests.crm_core.services.analytics.company import NOW, TODAY, fill

EVERYBODY = ("root", "bob", "alice", "charlie", "dana", "sam", "ana")
SEES_DEALS_OF = {
    "root": None,
    "dana": None,
    "ana": None,
    "bob": {"bob", "alice"},
    "alice": {"alice"},
    "charlie": {"charlie"},
    "sam": set(),
}
SEES_ORDERS_OF = {"root": None, "dana": None, "ana": None, "sam": None, "bob": None, "alice": {"alice"}, "charlie": {"charlie"}}
SEES_LEADS_OF = SEES_DEALS_OF
SEES_TICKETS_OF = {"root": None, "dana": set(), "ana": None, "sam": None, "bob": {"bob", "alice"}, "alice": None, "charlie": None}


def select_period(actor, preset, against=Against.PREVIOUS, **more):
    with frozen(NOW), read_session() as session:
        return metrics.select(session, actor, preset, against, **more)


def everything(actor, selection):
    """All figures of all areas, by key."""
    with frozen(NOW), read_session() as session:
        return {figure.key: figure for area in AREAS for figure in metrics.overview(session, actor, area, selection)}


def rows_of(model, sees, cast):
    """The records that a person may see, by a rule written down here and not by the code under test."""
    owners = None if sees is None else {cast[name].user_id for name in sees}
    return [row for row in all_of(model) if row.deleted_at is None and (owners is None or row.owner_id in owners)]


_kept = {}


@pytest.fixture(autouse=True)
def nothing_kept():
    _kept.clear()


def all_of(model):
    """All rows of a table, read once until something is written."""
    with read_session() as session:
        stamp = versions(session, (model.__tablename__,))
        if _kept.get(model, (None, None))[0] != stamp:
            _kept[model] = stamp, session.exec(select(model)).all()
    return _kept[model][1]


def inside(day, period):
    return day is not None and (not period.bounded or period.start <= day <= period.end)


def local(instant, actor):
    return None if instant is None else instant.astimezone(ZoneInfo(actor.timezone)).date()


def expected(name, cast, actor, period, owner_id, pipeline_id):
    """Every figure from the records, in the plainest Python."""
    mine = lambda rows: [row for row in rows if owner_id is None or row.owner_id == owner_id]  # noqa: E731
    deals = [d for d in mine(rows_of(Deal, SEES_DEALS_OF[name], cast)) if pipeline_id is None or d.pipeline_id == pipeline_id]
    won = [d for d in deals if d.outcome is StageKind.WON and inside(d.closed_on, period)]
    lost = [d for d in deals if d.outcome is StageKind.LOST and inside(d.closed_on, period)]
    still = [d for d in deals if d.outcome is StageKind.OPEN]
    leads = [r for r in mine(rows_of(Lead, SEES_LEADS_OF[name], cast)) if inside(local(r.created_at, actor), period)]
    orders = [
        r
        for r in mine(rows_of(Order, SEES_ORDERS_OF[name], cast))
        if r.status in SOLD and inside(local(r.ordered_at, actor), period)
    ]
    tickets = mine(rows_of(Ticket, SEES_TICKETS_OF[name], cast))
    done = (TicketKind.SOLVED, TicketKind.CLOSED)
    revenue, order_revenue = sum(d.amount_minor for d in won), sum(o.total_minor for o in orders)
    return {
        "revenue_won": revenue,
        "open_pipeline": sum(d.amount_minor for d in still),
        "weighted_pipeline": round(Fraction(sum(d.amount_minor * d.probability_pct for d in still), 100)),
        "win_rate": len(won) / (len(won) + len(lost)) if won or lost else None,
        "average_deal": round(Fraction(revenue, len(won))) if won else None,
        "sales_cycle": median((d.closed_on - d.created_on).days for d in won) if won else None,
        "new_leads": len(leads),
        "lead_conversion": sum(r.converted_at is not None for r in leads) / len(leads) if leads else None,
        "orders": len(orders),
        "order_revenue": order_revenue,
        "average_order": round(Fraction(order_revenue, len(orders))) if orders else None,
        "open_tickets": sum(t.status not in done for t in tickets),
        **service(tickets, actor, period, least=10 if owner_id else 0),
        "open_handovers": sum(a.handover_state is HandoverState.PENDING and a.deleted_at is None for a in mine(all_of(Account))),
    }


def service(tickets, actor, period, least):
    """The figures of service by plain pandas; None for fewer than ``least`` tickets."""
    names = (
        "status", "first_response_at", "opened_at", "solved_at", "first_solved_at", "rated_at", "reopened_count", "answer_count",
        "response_promise", "resolution_promise", "response_minutes", "resolution_minutes", "satisfaction",
    )  # fmt: skip
    rows = pd.DataFrame([[getattr(t, name) for name in names] for t in tickets], columns=names, dtype=object)

    def of(at, mask=True):
        return rows[pd.Series([inside(local(each, actor), period) for each in rows[at]], index=rows.index, dtype=bool) & mask]

    def spans(part, column):
        return pd.Series([minutes(row[column] - row["opened_at"]) for _, row in part.iterrows()], dtype=float)

    def share(part, hits):
        return None if part.empty or len(part) < least else float(hits(part).mean())

    def times(key, values):
        told = not values.empty and len(values) >= least
        late = values.quantile(0.9) * 60 if told else None
        return {key: values.median() * 60 if told else None, f"{key}_p90": None if late is None else pytest.approx(late, rel=1e-12)}

    done = rows["status"].isin([TicketKind.SOLVED, TicketKind.CLOSED])
    opened, solved, first = of("opened_at"), of("solved_at", done), of("first_solved_at")
    return {
        **times("first_response", spans(opened[opened["first_response_at"].notna()], "first_response_at")),
        **times("resolution", spans(solved, "solved_at")),
        **times("first_response_work", opened["response_minutes"].dropna().astype(float)),
        **times("resolution_work", solved["resolution_minutes"].dropna().astype(float)),
        **{
            f"{key}_kept": share(
                opened[opened[f"{key}_promise"].notna()], lambda p, key=key: p[f"{key}_promise"] == PromiseOutcome.KEPT
            )
            for key in ("response", "resolution")
        },
        "reopen_rate": share(first, lambda p: p["reopened_count"] > 0),
        "first_contact": share(first[first["answer_count"] > 0], lambda p: (p["answer_count"] == 1) & (p["reopened_count"] == 0)),
        "satisfaction": share(of("rated_at"), lambda p: p["satisfaction"] >= 4),
    }


def half_refreshed():
    """Daily summaries computed, then some records changed under them."""
    summaries.refresh()
    with write_session() as session:
        for ticket in session.exec(select(Ticket).where(Ticket.response_minutes.is_not(None)).limit(3)):
            ticket.response_minutes += 1
        for model, field in ((Deal, "amount_minor"), (Order, "total_minor")):
            for record in session.exec(select(model).where(model.id % 7 == 0)):
                setattr(record, field, getattr(record, field) + 1)


@pytest.mark.parametrize(("home", "away"), [("Asia/Tokyo", "America/New_York"), ("Europe/Berlin", "UTC"), ("UTC", "Asia/Kolkata")])
def test_order_figures_are_exact_for_a_reader_in_another_time_zone_than_the_workspace(cast, home, away):
    with write_session() as session:
        session.exec(select(Organisation)).one().timezone = home
    fill(cast, 15, size=400)
    half_refreshed()
    for zone in (home, away):
        for name in ("root", "alice"):
            actor = replace(cast[name], timezone=zone)
            for preset, days in [*PERIODS, (PeriodPreset.DAYS_90, {})]:
                selection = select_period(actor, preset, **days)
                with frozen(NOW), read_session() as session:
                    figure = metrics.figure(session, actor, "order_revenue", selection)
                    parts = breakdowns.breakdown(session, actor, "order_revenue", "source", selection)
                assert figure.value == expected(name, cast, actor, selection.period, None, None)["order_revenue"], (zone, preset)
                assert sum(point.value for point in figure.points) == sum(part.value for part in parts) == figure.value
                for point in figure.points:
                    orders = [o for o in rows_of(Order, SEES_ORDERS_OF[name], cast) if o.status in SOLD]
                    days_of_step = (point.bucket.start, point.bucket.end)
                    inside_step = [o for o in orders if days_of_step[0] <= local(o.ordered_at, actor) <= days_of_step[1]]
                    assert point.value == sum(o.total_minor for o in inside_step)


def minutes(span: timedelta) -> int:
    return round(span.total_seconds() / 60)


PERIODS = [
    (PeriodPreset.DAYS_30, {}),
    (PeriodPreset.MONTHS_12, {}),
    (PeriodPreset.ALL, {}),
    (PeriodPreset.CUSTOM, {"start": date(2025, 1, 1), "end": date(2025, 2, 28)}),
]


@pytest.mark.parametrize("seed", [1, 2])
def test_each_figure_is_what_the_records_say_for_every_role_period_owner_and_pipeline(any_cast, seed):
    """A square of people and periods; the choice of owner and pipeline moves on from field to field, so that each pair of the three meets.

    On PostgreSQL one company tries every second field and the other one the rest: who sees what and which days count is worked out in front of
    both databases alike, and each statement runs on both.
    """
    company = fill(any_cast, seed)
    if seed == 2:
        half_refreshed()
    choices = ((None, None), (any_cast["alice"].user_id, None), (None, company.pipelines[1]))
    for row, name in enumerate(EVERYBODY):
        actor = any_cast[name]
        for column, (preset, days) in enumerate(PERIODS):
            if not settings().is_sqlite and (row + column + seed) % 2:
                continue
            owner_id, pipeline_id = choices[(row + column + seed) % len(choices)]
            selection = select_period(actor, preset, owner_id=owner_id, pipeline_id=pipeline_id, **days)
            found = everything(actor, selection)
            wanted = expected(name, any_cast, actor, selection.period, owner_id, pipeline_id)
            for key in wanted.keys() & found.keys():
                assert found[key].value == wanted[key], (name, preset, owner_id, pipeline_id, key)


@pytest.mark.parametrize("seed", [3, 4])
def test_the_list_behind_each_figure_counts_the_same_records_and_the_same_cents(any_cast, seed):
    """Of people and periods one seed tries every second pair, and the other one the rest; on PostgreSQL each seed tries one period per person,
    so that everybody meets two and each period three people or four: its statements are the same for all of them."""
    company = fill(any_cast, seed)
    seen = Counter()
    for row, name in enumerate(EVERYBODY):
        actor = replace(any_cast[name], timezone="America/New_York")
        tried = PERIODS[(row + seed) % 2 :: 2] if settings().is_sqlite else [PERIODS[(row + seed) % len(PERIODS)]]
        for preset, days in tried:
            selection = select_period(actor, preset, owner_id=None, pipeline_id=company.pipelines[0], **days)
            for figure in everything(actor, selection).values():
                count, sums = totals(actor, figure)
                if figure.hidden:
                    continue
                seen[figure.key] += 1
                assert count == figure.cases, (name, preset, figure.key)
                if figure.key in ("revenue_won", "open_pipeline"):
                    assert sums["amount_minor"] == figure.value
                if figure.key == "order_revenue":
                    assert sums["total_minor"] == figure.value
    assert set(seen) == set(METRICS)


def totals(actor, figure):
    with frozen(NOW), read_session() as session:
        return lists.totals(session, actor, figure.metric.entity, ListQuery(filter=figure.filter))


def test_revenue_pipeline_and_win_rate_equal_bare_sql(any_cast):
    fill(any_cast, 5)
    found = everything(any_cast["root"], select_period(any_cast["root"], PeriodPreset.MONTHS_12))
    with read_session() as session:
        won, deals, lost = session.execute(
            text(
                "select sum(case when outcome = 'won' then amount_minor else 0 end), sum(case when outcome = 'won' then 1 else 0 end),"
                " sum(case when outcome = 'lost' then 1 else 0 end) from deal"
                " where deleted_at is null and closed_on between '2025-03-16' and '2026-03-15'"
            )
        ).one()
        pipeline = session.execute(
            text("select sum(amount_minor) from deal where deleted_at is null and outcome = 'open'")
        ).scalar()
    assert found["revenue_won"].value == won
    assert (found["win_rate"].numerator, found["win_rate"].denominator) == (deals, deals + lost)
    assert found["open_pipeline"].value == pipeline


@pytest.mark.parametrize("seed", [6, 7])
def test_the_steps_of_a_trend_add_up_to_the_figure(any_cast, seed):
    fill(any_cast, seed)
    for preset, days in PERIODS:
        selection = select_period(any_cast["root"], preset, **days)
        found = everything(any_cast["root"], selection)
        for key in ("revenue_won", "new_leads", "orders", "order_revenue", "campaign_cost"):
            assert sum(point.value for point in found[key].points) == found[key].value, (key, preset)


def test_over_all_time_each_step_counts_the_records_of_the_list_behind_it(cast):
    fill(cast, 6)
    with write_session() as session:
        late = session.exec(select(Ticket).where(Ticket.status == TicketKind.SOLVED)).first()
        late.solved_at = late.first_solved_at = late.rated_at = datetime(2099, 3, 1, 12, tzinfo=UTC)
        late.satisfaction = 5
        session.exec(select(Campaign)).first().starts_on = date(2098, 5, 1)
    found = everything(cast["root"], select_period(cast["root"], PeriodPreset.ALL))
    with frozen(NOW), read_session() as session:
        for figure in found.values():
            for point in () if figure.metric.now else figure.points:
                step = Period(point.bucket.start, point.bucket.end)
                behind = ListQuery(filter=list_filter(figure.metric, step))
                assert lists.count(session, cast["root"], figure.metric.entity, behind) == point.cases, (figure.key, step)


def test_the_open_pipeline_of_a_past_day_is_what_was_open_then(cast):
    fill(cast, 8)
    selection = select_period(cast["bob"], PeriodPreset.DAYS_90)
    figure = everything(cast["bob"], selection)["open_pipeline"]
    deals = rows_of(Deal, {"bob", "alice"}, cast)

    def standing(day):
        return sum(
            d.amount_minor
            for d in deals
            if d.created_on <= day and (d.outcome is StageKind.OPEN or (d.closed_on and d.closed_on > day))
        )

    assert [point.value for point in figure.points] == [standing(point.bucket.end) for point in figure.points]
    assert figure.before == standing(selection.comparison.end)
    assert figure.change == figure.value - figure.before


def test_the_open_tickets_of_a_past_day_are_what_was_open_then(any_cast):
    fill(any_cast, 9)
    sam = replace(any_cast["sam"], timezone="Asia/Tokyo")
    figure = everything(sam, select_period(sam, PeriodPreset.MONTHS_12))["open_tickets"]
    done = (TicketKind.SOLVED, TicketKind.CLOSED)
    tickets = [t for t in rows_of(Ticket, None, any_cast) if t.status not in done or t.solved_at]

    def standing(day):
        opened = [t for t in tickets if local(t.opened_at, sam) <= day]
        return sum(t.status not in done or local(t.solved_at, sam) > day for t in opened)

    assert [point.value for point in figure.points] == [standing(point.bucket.end) for point in figure.points]


@pytest.mark.parametrize("seed", [10, 11])
def test_groups_of_a_breakdown_add_up_and_each_has_its_own_list(any_cast, seed):
    """Of a company with all records and with those of a team; on PostgreSQL one seed for each of the two."""
    fill(any_cast, seed)
    for name in ("root", "bob") if settings().is_sqlite else (("root", "bob")[seed % 2],):
        actor = any_cast[name]
        selection = select_period(actor, PeriodPreset.MONTHS_12)
        figures = everything(actor, selection)
        for metric in METRICS.values():
            for by in metric.breakdowns:
                if metric.key not in figures:
                    continue
                with frozen(NOW), read_session() as session:
                    parts = breakdowns.breakdown(session, actor, metric.key, by, selection, limit=4)
                assert sum(part.cases for part in parts) == figures[metric.key].cases, (metric.key, by)
                for part in parts:
                    assert totals(actor, replace(figures[metric.key], filter=part.filter))[0] == part.cases, (
                        metric.key,
                        by,
                        part.label,
                    )
                if metric.key in ("revenue_won", "open_pipeline", "order_revenue"):
                    assert sum(part.value for part in parts) == figures[metric.key].value


def test_campaign_cost_and_return_take_both_sides_of_the_same_campaigns(cast):
    fill(cast, 12)
    selection = select_period(cast["dana"], PeriodPreset.MONTHS_12)
    found = everything(cast["dana"], selection)
    with read_session() as session:
        campaigns = {c.id: c for c in session.exec(select(Campaign)) if inside(c.starts_on, selection.period)}
        channels = [c for c in session.exec(select(CampaignChannel)) if c.campaign_id in campaigns]
        deals = [d for d in rows_of(Deal, None, cast) if d.outcome is StageKind.WON and d.campaign_id in campaigns]
    cost = sum(c.actual_cost_minor for c in channels)
    assert found["campaign_cost"].value == sum(c.actual_cost_minor for c in channels if campaigns[c.campaign_id].deleted_at is None)
    assert found["campaign_return"].value == pytest.approx((sum(d.amount_minor for d in deals) - cost) / cost)
    count, sums = totals(cast["dana"], found["campaign_return"])
    assert (count, sums["amount_minor"]) == (len(deals), sum(d.amount_minor for d in deals))


def test_a_new_customer_costs_what_campaigns_did_and_nothing_is_divided_where_costs_are_missing(cast):
    fill(cast, 12)
    selection = select_period(cast["root"], PeriodPreset.MONTHS_12)
    with write_session() as session:
        known = list(session.exec(select(Account.id)))
        for n, deal in enumerate(session.exec(select(Deal).where(Deal.outcome == StageKind.WON))):
            deal.account_id = known[n % len(known)]
    with frozen(NOW), read_session() as session:
        accounts = {a.id for a in session.exec(select(Account)) if a.deleted_at is None}
        won = [
            d
            for d in session.exec(select(Deal))
            if d.outcome is StageKind.WON and d.closed_on and d.deleted_at is None and d.account_id in accounts
        ]
        found = {d.account_id: min(x.closed_on for x in won if x.account_id == d.account_id) for d in won}
        new = [key for key, day in found.items() if inside(day, selection.period)]
        whole = acquisition.of_period(session, cast["root"], selection.period)
        figure = metrics.figure(session, cast["root"], "acquisition_cost", selection)
        nothing = metrics.figure(
            session, cast["root"], "acquisition_cost", replace(selection, period=Period(date(1990, 1, 1), date(1990, 2, 1)))
        )
        one = metrics.figure(session, cast["root"], "acquisition_cost", replace(selection, owner_id=cast["alice"].user_id))
        hidden = metrics.figure(session, cast["alice"], "acquisition_cost", selection)
    assert len(new) > 2 and (figure.cases, totals(cast["root"], figure)[0], whole.customers) == (len(new),) * 3
    assert figure.before_cases == sum(inside(day, selection.comparison) for day in found.values())
    assert figure.value == whole.each_minor == round(whole.cost_minor / len(new)) > 0
    for parts in (whole.by_campaign, whole.by_channel):
        assert sum(part.customers for part in parts) == len(new) and sum(part.cost_minor or 0 for part in parts) == whole.cost_minor
        assert all(part.each_minor is None for part in parts if not part.cost_minor or not part.customers)
    assert nothing.value is None and "has a cost" in nothing.reason
    assert one.value is None and "one person" in one.reason
    assert hidden.value is None and hidden.hidden


@pytest.mark.parametrize(("zone", "channel"), [("America/New_York", "Phone"), ("UTC", "E-mail"), ("Pacific/Auckland", None)])
def test_the_last_touch_of_a_new_customer_is_that_of_the_workspaces_day(cast, zone, channel):
    day = date(2025, 7, 10)
    with write_session() as session:
        session.exec(select(Organisation)).one().timezone = zone
        session.add(account := Account(name="New customer", owner_id=cast["alice"].user_id))
        session.flush()
        session.add(person := Contact(name="Nora New", account_id=account.id, owner_id=cast["alice"].user_id))
        stage = session.exec(select(Stage).where(Stage.kind == StageKind.WON)).first()
        session.add(
            Deal(
                name="First", account_id=account.id, pipeline_id=stage.pipeline_id, stage_id=stage.id, outcome=StageKind.WON, created_on=day, stage_since=NOW, closed_on=day,
                owner_id=cast["alice"].user_id, amount_minor=100, currency="EUR",
            )
        )  # fmt: skip
        session.flush()
        for touched, at in (("email", datetime(2025, 7, 10, 13, tzinfo=UTC)), ("phone", datetime(2025, 7, 11, 1, tzinfo=UTC))):
            session.add(Touchpoint(contact_id=person.id, channel=Channel(touched), at=at))
    with read_session() as session:
        found = acquisition.of_period(session, cast["root"], Period(day, day))
    assert [(one.name if one.key else None, one.customers) for one in found.by_channel] == [(channel, 1)]


def test_somebody_who_sees_only_own_deals_is_not_told_a_campaign_return(cast):
    fill(cast, 13)
    figure = everything(cast["alice"], select_period(cast["alice"], PeriodPreset.ALL))["campaign_return"]
    assert figure.value is None
    assert figure.hidden
    assert "only a part of the deals" in figure.reason


def test_an_agent_gets_figures_of_orders_and_tickets_only(cast):
    assert list(metrics.areas(cast["sam"])) == ["orders", "service"]
    selection = select_period(cast["sam"], PeriodPreset.ALL)
    with read_session() as session:
        assert metrics.overview(session, cast["sam"], "sales", selection) == ()
        with pytest.raises(NotFound):
            metrics.figure(session, cast["sam"], "revenue_won", selection)
        with pytest.raises(NotFound):
            breakdowns.breakdown(session, cast["sam"], "revenue_won", "owner_id", selection)


def test_without_the_right_to_read_analytics_there_is_nothing(cast):
    nobody = replace(cast["alice"], grants={key: scopes for key, scopes in cast["alice"].grants.items() if key[0] != "analytics"})
    with pytest.raises(NotPermitted), read_session() as session:
        metrics.select(session, nobody)
    assert metrics.areas(nobody) == {}


def test_a_masked_amount_hides_every_figure_made_of_it(cast):
    fill(cast, 14)
    masked = replace(cast["ana"], masks=cast["ana"].masks | {("deal", "amount_minor"), ("deal", "source")})
    found = everything(masked, select_period(masked, PeriodPreset.ALL))
    for key in ("revenue_won", "open_pipeline", "weighted_pipeline", "average_deal", "campaign_return"):
        assert (found[key].value, found[key].points, found[key].hidden) == (None, (), True)
    assert found["win_rate"].value is not None
    with read_session() as session:
        assert breakdowns.breakdown(session, masked, "revenue_won", "owner_id", select_period(masked, PeriodPreset.ALL)) == ()
        assert breakdowns.breakdown(session, masked, "win_rate", "source", select_period(masked, PeriodPreset.ALL)) == ()


def test_a_hidden_start_of_campaigns_hides_what_is_made_of_it_and_nothing_else(cast):
    fill(cast, 14)
    masked = replace(cast["root"], masks=frozenset({("campaign", "starts_on")}))
    selection = select_period(masked, PeriodPreset.ALL)
    found = everything(masked, selection)
    for key in ("campaign_cost", "campaign_return", "acquisition_cost"):
        assert (found[key].value, found[key].points, found[key].hidden) == (None, (), True) and "hides" in found[key].reason
    assert found["new_leads"].value == everything(cast["root"], selection)["new_leads"].value > 0
    with write_session() as session:
        session.add(Campaign(name="Long ago", starts_on=date(1999, 1, 1)))
    with read_session() as session, frozen(NOW):
        assert metrics.extent(session, cast["root"], "marketing", selection).start == date(1999, 1, 1)
        assert metrics.extent(session, masked, "marketing", selection).start.year > 2000
        with pytest.raises(NotPermitted, match="when campaigns started"):
            acquisition.of_period(session, masked, selection.period)


def test_hidden_fields_take_no_more_away_than_the_figures_that_are_made_of_them(cast):
    """Whatever a role hides, a page of figures is there: with figures, and a sentence instead of those that need the field."""
    fill(cast, 14)
    selection = select_period(cast["root"], PeriodPreset.DAYS_30)
    for key in ("deal", "lead", "campaign", "account", "order", "ticket"):
        masks = frozenset((key, spec.key) for spec in builtin(key).values() if spec.maskable)
        found = everything(replace(cast["root"], masks=masks), selection)
        assert found.keys() == METRICS.keys() and sum(not figure.hidden for figure in found.values()) > len(METRICS) / 2, key
        assert all(figure.reason for figure in found.values() if figure.hidden), key


def test_a_doubled_revenue_is_a_change_and_a_wobbling_one_is_not(cast):
    with write_session() as session:
        won = next(s for s in session.exec(select(Stage)) if s.kind is StageKind.WON)
        for ago in range(60):
            wobble = (ago * 7) % 5
            day = TODAY - timedelta(days=ago)
            session.add(closed_deal(won, day, amount=1_000 * (2 if ago < 30 else 1) + wobble, owner_id=cast["alice"].user_id))
            session.add(closed_deal(won, day, amount=1_000 + (ago * 37) % 500, owner_id=cast["charlie"].user_id))
    changed = everything(cast["alice"], select_period(cast["alice"], PeriodPreset.DAYS_30))["revenue_won"]
    assert changed.relative == pytest.approx(1, abs=0.01)
    assert changed.distinguishable is True
    assert everything(cast["charlie"], select_period(cast["charlie"], PeriodPreset.DAYS_30))["revenue_won"].distinguishable is False


def test_whether_there_is_anything_and_from_when_to_when_follows_what_one_may_see(cast):
    selection = select_period(cast["root"], PeriodPreset.DAYS_30)
    with read_session() as session:
        assert not any(metrics.has_records(session, actor) for actor in cast.values())
        assert metrics.extent(session, cast["root"], "sales", selection) is None
    with write_session() as session:
        won = next(s for s in session.exec(select(Stage)) if s.kind is StageKind.WON)
        session.add_all(closed_deal(won, day, owner_id=cast["charlie"].user_id) for day in (date(2017, 1, 2), date(2017, 3, 4)))
    with read_session() as session:
        assert {name for name, actor in cast.items() if metrics.has_records(session, actor)} == {"root", "charlie", "dana", "ana"}
        found = metrics.extent(session, cast["charlie"], "sales", selection)
        assert (found.start, found.end) == (date(2017, 1, 2), date(2017, 3, 4))
        assert metrics.extent(session, cast["alice"], "sales", selection) is None


def test_an_empty_workspace_gives_zeros_and_reasons_not_errors(any_cast):
    for preset, days in PERIODS:
        found = everything(any_cast["root"], select_period(any_cast["root"], preset, **days))
        assert set(found) == set(METRICS)
        assert found["revenue_won"].value == 0
        assert found["win_rate"].value is None
        assert found["win_rate"].reason == "No deal was won or lost in this period."
        assert all(figure.reason or figure.value == 0 for figure in found.values())


def test_a_small_win_rate_has_a_wide_interval_and_an_undecided_change(cast):
    with write_session() as session:
        stages = {s.kind: s for s in session.exec(select(Stage))}
        for kind, closed in ((StageKind.WON, TODAY), (StageKind.LOST, TODAY), (StageKind.WON, TODAY - timedelta(days=31))):
            session.add(closed_deal(stages[kind], closed))
    figure = everything(cast["root"], select_period(cast["root"], PeriodPreset.DAYS_30))["win_rate"]
    assert (figure.value, figure.before, figure.numerator, figure.denominator) == (0.5, 1.0, 1, 2)
    assert figure.low == pytest.approx(0.0945, abs=1e-4)
    assert figure.high == pytest.approx(0.9055, abs=1e-4)
    assert figure.distinguishable is False


def closed_deal(stage, closed_on, amount=100, **more):
    return Deal(
        name="d",
        pipeline_id=stage.pipeline_id,
        stage_id=stage.id,
        outcome=stage.kind,
        amount_minor=amount,
        created_on=closed_on - timedelta(days=3),
        closed_on=closed_on,
        stage_since=NOW,
        **more,
    )


def test_an_order_counts_on_the_day_of_the_person_who_looks_also_when_clocks_change(any_cast):
    # 29 March 2026: Berlin goes to summer time, its day starts at 23:00 UTC and has 23 hours.
    instants = [
        datetime(2026, 3, 28, 22, 59, tzinfo=UTC),
        datetime(2026, 3, 28, 23, 0, tzinfo=UTC),
        datetime(2026, 3, 29, 21, 59, tzinfo=UTC),
        datetime(2026, 3, 29, 22, 0, tzinfo=UTC),
    ]
    with write_session() as session:
        session.add_all(Order(number=str(n), ordered_at=at, total_minor=10**n) for n, at in enumerate(instants))
    berlin = replace(any_cast["root"], timezone="Europe/Berlin")
    day = {"start": date(2026, 3, 29), "end": date(2026, 3, 29)}
    assert everything(berlin, select_period(berlin, PeriodPreset.CUSTOM, **day))["order_revenue"].value == 110
    assert everything(any_cast["root"], select_period(any_cast["root"], PeriodPreset.CUSTOM, **day))["order_revenue"].value == 1100
    week = {"start": date(2026, 3, 27), "end": date(2026, 3, 31)}
    points = everything(berlin, select_period(berlin, PeriodPreset.CUSTOM, **week))["order_revenue"].points
    assert [point.value for point in points] == [0, 1, 110, 1000, 0]


def test_this_year_starts_with_the_fiscal_year_of_the_workspace(cast):
    with write_session() as session:
        session.exec(select(Organisation)).one().fiscal_year_start_month = 4
    selection = select_period(cast["root"], PeriodPreset.YEAR)
    assert (selection.period.start, selection.period.end) == (date(2025, 4, 1), TODAY)
    assert (selection.comparison.start, selection.comparison.end) == (date(2024, 4, 1), date(2025, 3, 15))


def test_an_unknown_area_figure_or_split_is_refused_with_a_sentence(cast):
    selection = select_period(cast["root"], PeriodPreset.ALL)
    with read_session() as session:
        with pytest.raises(NotFound):
            metrics.overview(session, cast["root"], "weather", selection)
        with pytest.raises(NotFound):
            metrics.figure(session, cast["root"], "weather", selection)
        with pytest.raises(Exception, match="can't be split"):
            breakdowns.breakdown(session, cast["root"], "revenue_won", "name", selection)
