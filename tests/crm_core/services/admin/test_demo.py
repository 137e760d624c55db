"""The demo company: deterministic, marked, consistent with itself, with the planted truth in it, and gone in one go."""

import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from time import process_time

import numpy as np
import pytest
from sqlalchemy import func, select, text

from crm_core import db, events
from crm_core.access import load, visible
from crm_core.errors import Conflict, Invalid, NotPermitted
from crm_core.kit import clock
from crm_core.kit.clock import utcnow
from crm_core.kit.money import line_total, tax_of
from crm_core.models import Account, Base
from crm_core.services.admin import demo, setup
from crm_core.services.admin.demo import scales
from crm_core.services.admin.demo.draft import line_totals
from tests.crm_core.test_ordering import assert_kept

MONDAY = datetime(2026, 3, 16, 10, 30, tzinfo=UTC)


@pytest.fixture
def company(built_demo):
    """The small demo company, on each database."""
    return built_demo


def one(query, **values):
    with db.read_session() as session:
        return session.execute(text(query), values).scalar_one()


def rows(query, **values):
    with db.read_session() as session:
        return session.execute(text(query), values).all()


def actor(user_id):
    with db.read_session() as session:
        return load(session, user_id)


# --- building -----------------------------------------------------------------------------------------------------------


def test_the_workspace_is_marked_as_the_demo(company):
    assert one("select is_demo from organisation")
    assert one("select count(*) from organisation") == 1


def test_every_table_has_the_promised_rows(company):
    sizes = scales.SIZES["small"]
    promised = {
        "account": sizes.accounts, "contact": sizes.contacts, "lead": sizes.leads, "deal": sizes.deals, "sales_order": sizes.orders,
        "order_line": sizes.lines, "ticket": sizes.tickets, "campaign": sizes.campaigns, "touchpoint": sizes.touchpoints,
        "activity": sizes.activities, "task": sizes.tasks,
    }  # fmt: skip
    assert {table: company.rows[table] for table in promised} == promised
    assert {table: one(f"select count(*) from {table}") for table in company.rows} == company.rows
    with db.read_session() as session:
        assert_kept(session)


def test_there_is_a_person_for_every_role_and_nobody_has_a_password(company):
    assert set(company.people) == {"administrator", "manager", "sales_rep", "marketer", "support_agent", "analyst"}
    assert one("select count(*) from app_user where password_hash is not null") == 0


def test_no_address_leads_to_a_real_person(company):
    for table, column in (
        ("app_user", "email"),
        ("contact", "email"),
        ("lead", "email"),
        ("contact_point", "value"),
        ("account", "domain"),
    ):
        kind = " and kind = 'email'" if table == "contact_point" else ""
        assert one(f"select count(*) from {table} where {column} is not null and {column} not like '%.example'{kind}") == 0


def test_the_same_seed_and_day_give_the_same_company(tmp_path, sqlite_template, monkeypatch):
    def digest(folder, seed):
        from tests.conftest import _environment

        folder.mkdir()
        (folder / "rapport.db").write_bytes(Path(sqlite_template).read_bytes())
        with _environment(f"sqlite:///{folder / 'rapport.db'}", folder), clock.frozen(MONDAY):
            demo.build(scale="small", seed=seed)
        with sqlite3.connect(folder / "rapport.db") as connection:
            return [line for line in connection.iterdump() if not line.startswith('INSERT INTO "table_version"')]

    first, again, other = digest(tmp_path / "a", 1), digest(tmp_path / "b", 1), digest(tmp_path / "c", 2)
    assert [line for line in first if "sales_order" in line] == [line for line in again if "sales_order" in line]
    assert first == again
    assert first != other


def test_a_second_demo_is_refused_and_changes_nothing(company):
    before = one("select count(*) from deal")
    with pytest.raises(Conflict, match="already in use"):
        demo.build(scale="small", seed=2)
    assert one("select count(*) from deal") == before


def test_a_workspace_with_own_data_is_refused(cast):
    with pytest.raises(Conflict, match="already in use"):
        demo.build()
    assert one("select count(*) from account") == 0


def test_an_unknown_scale_is_refused_in_words(database):
    with pytest.raises(Invalid, match="small, medium, large"):
        demo.build(scale="huge")


def test_a_build_that_fails_half_way_leaves_nothing(database):
    def stop(share, _step):
        if share > 0.5:
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError):
        demo.build(progress=stop)
    assert one("select count(*) from organisation") == one("select count(*) from account") == 0
    assert demo.build().rows["account"] == 60


def test_progress_goes_from_nothing_to_all(database):
    seen = []
    demo.build(progress=lambda share, step: seen.append((share, step)))
    shares = [share for share, _ in seen]
    assert shares == sorted(shares) and 0 < shares[0] < 0.1 and shares[-1] == 1
    assert all(step.endswith("…") for _, step in seen)


def test_new_records_follow_the_loaded_ones(company):
    with db.write_session() as session:
        account = Account(name="Right after the demo")
        session.add(account)
        session.flush()
        assert account.id == scales.SIZES["small"].accounts + 1


def test_caches_learn_that_the_tables_changed(any_database):
    with db.read_session() as session:
        before = dict(db.versions(session, ["deal", "sales_order"]))
    demo.build()
    with db.read_session() as session:
        after = dict(db.versions(session, ["deal", "sales_order"]))
    assert all(after[name] > before[name] for name in before)


# --- consistency --------------------------------------------------------------------------------------------------------


def test_an_amount_is_the_sum_of_the_lines_unless_it_was_set_by_hand(company):
    assert (
        one(
            "select count(*) from deal where not amount_locked and amount_minor <> (select sum(total_minor) from deal_line where deal_id = deal.id)"
        )
        == 0
    )
    assert 0 < one("select count(*) from deal where amount_locked") < 20


def test_an_order_total_is_the_sum_of_its_lines(company):
    assert (
        one(
            "select count(*) from sales_order where total_minor <> (select sum(total_minor) from order_line where order_id = sales_order.id)"
        )
        == 0
    )


def test_tax_and_what_recurs_follow_the_lines(company):
    for table, whole, link in (("deal_line", "deal", "deal_id"), ("order_line", "sales_order", "order_id")):
        lines = rows(f"select {link} as of, billing, periods, tax_rate_pct, total_minor, tax_minor from {table}")
        assert all(tax_of(row.total_minor, row.tax_rate_pct) == row.tax_minor for row in lines)
        assert {int(row.tax_rate_pct) for row in lines} == {7, 19} and {row.billing for row in lines} >= {"one_time", "yearly"}
        assert one(f"select count(*) from {table} where billing = 'yearly' and name not like 'Care plan%, one year'") == 0
        if whole == "sales_order":
            assert (
                one(
                    f"select count(*) from {whole} where tax_minor <> (select sum(tax_minor) from {table} where {link} = {whole}.id)"
                )
                == 0
            )
        else:
            yearly = "(select coalesce(sum(total_minor), 0) from deal_line where deal_id = deal.id and billing = 'yearly')"
            assert one(f"select count(*) from deal where arr_minor <> {yearly}") == 0
            pairs = rows("select arr_minor, mrr_minor from deal where arr_minor > 0")
            assert len(pairs) > 10 and all(round(row.arr_minor / 12) == row.mrr_minor for row in pairs)
    assert one("select tax_rate_pct from organisation") == 19


def test_goods_lie_in_stock_and_troubles_name_the_machine(company):
    assert one("select count(*) from product where stock is null and name like 'Care plan%'") == 3
    assert one("select count(*) from product where stock is not null") > 40
    known = rows("select serial_number, account_id, product_id from ticket where serial_number is not null")
    assert len(known) > 10 and all(row.product_id for row in known)
    assert len({(row.serial_number, row.account_id, row.product_id) for row in known}) == len({row.serial_number for row in known})


@pytest.mark.parametrize("table", ["deal_line", "order_line"])
def test_line_totals_follow_the_rule_of_the_house(company, table):
    wrong = [
        row
        for row in rows(f"select quantity, unit_price_minor, discount_pct, total_minor from {table}")
        if line_total(row.quantity, row.unit_price_minor, row.discount_pct) != row.total_minor
    ]
    assert wrong == []


def test_vectorised_totals_round_half_to_even():
    quantity, price, discount = np.array([1, 1, 3, 1]), np.array([10, 30, 50, 50]), np.array([5, 5, 15, 1])
    expected = [line_total(int(q), int(p), int(d)) for q, p, d in zip(quantity, price, discount, strict=True)]
    assert line_totals(quantity, price, discount).tolist() == expected == [10, 28, 128, 50]


def test_the_stage_events_of_a_deal_end_in_its_stage(company):
    log = rows("select deal_id, from_stage_id, to_stage_id, at, seconds_in_from from stage_event order by deal_id, at")
    deals = {row.id: row for row in rows("select id, stage_id, stage_since from deal")}
    last, first = {}, set()
    for event in log:
        before = last.get(event.deal_id)
        assert event.from_stage_id == (before.to_stage_id if before else None)
        assert (event.seconds_in_from is None) == (before is None)
        first.add(event.deal_id)
        last[event.deal_id] = event
    assert first == set(deals)
    assert all(last[key].to_stage_id == deal.stage_id and last[key].at == deal.stage_since for key, deal in deals.items())


def test_outcome_closing_day_and_probability_agree_with_the_stage(company):
    assert one("select count(*) from deal join stage on stage.id = stage_id where outcome <> stage.kind") == 0
    assert one("select count(*) from deal where (outcome = 'open') <> (closed_on is null)") == 0
    assert one("select count(*) from deal where closed_on < created_on") == 0
    assert (
        one(
            "select count(*) from deal join stage on stage.id = stage_id where not probability_own and deal.probability_pct <> stage.probability_pct"
        )
        == 0
    )
    assert one("select count(*) from deal where outcome = 'lost' and lost_reason is null") == 0


def test_every_kind_of_deal_is_there_in_sensible_shares(company):
    found = dict(rows("select outcome, count(*) from deal group by outcome"))
    assert found["open"] >= 25 and found["won"] >= 35 and found["lost"] >= 25
    assert one("select count(distinct stage_id) from deal") == one("select count(*) from stage")


def test_a_won_deal_has_its_order_with_the_same_lines(company):
    assert one("select count(*) from deal where outcome = 'won'") == one(
        "select count(*) from sales_order where deal_id is not null"
    )
    assert (
        one(
            "select count(*) from deal join sales_order o on o.deal_id = deal.id where o.total_minor <> deal.amount_minor or o.account_id <> deal.account_id"
        )
        == 0
    )


def test_leads_stand_in_every_status_and_converted_ones_point_at_what_they_became(company):
    assert one("select count(distinct status_id) from lead") == one("select count(*) from lead_status")
    assert (
        one(
            "select count(*) from lead join lead_status s on s.id = status_id where (s.kind = 'converted') <> (converted_deal_id is not null)"
        )
        == 0
    )
    assert (
        one(
            "select count(*) from lead join deal on deal.id = converted_deal_id where deal.account_id <> converted_account_id or deal.created_at < lead.created_at"
        )
        == 0
    )


def test_ticket_instants_are_in_order_and_agree_with_the_status(company):
    assert (
        one(
            "select count(*) from ticket where first_response_at < opened_at or solved_at < first_response_at or closed_at < solved_at"
        )
        == 0
    )
    assert one("select count(*) from ticket where (status in ('solved', 'closed')) <> (solved_at is not null)") == 0
    assert one("select count(*) from ticket where (status = 'new') <> (first_response_at is null)") == 0
    assert one("select count(*) from ticket where not exists (select 1 from ticket_message m where m.ticket_id = ticket.id)") == 0


def test_nothing_happened_in_the_future_and_history_is_in_order(company):
    now = utcnow()
    for table, column in (
        ("sales_order", "ordered_at"),
        ("stage_event", "at"),
        ("activity", "at"),
        ("touchpoint", "at"),
        ("event_log", "at"),
    ):
        found = [row[0] for row in rows(f"select {column} from {table} order by id")]
        assert found == sorted(found), table
        assert str(found[-1])[:16] <= str(now)[:16], table
    for table, column in (("deal", "created_at"), ("ticket", "solved_at"), ("lead", "created_at"), ("task", "done_at")):
        assert str(one(f"select max({column}) from {table}"))[:10] <= str(now)[:10], table


def test_nobody_talked_in_a_call_that_reached_nobody(company):
    in_vain = "from activity where outcome in ('no_answer', 'voicemail', 'wrong_number')"
    assert one(f"select count(*) {in_vain}") > 0
    assert one(f"select count(*) {in_vain} and (minutes is not null or body is not null)") == 0


def test_each_sales_rep_has_something_due_today_and_something_late(company):
    with db.read_session() as session:
        today = session.execute(text("select date(max(created_at)) from organisation")).scalar_one()
    reps = [row[0] for row in rows("select user_id from user_role join role on role.id = role_id where role.key = 'sales_rep'")]
    for person in reps:
        due = [str(row[0])[:10] for row in rows("select due_at from task where owner_id = :p and status = 'open'", p=person)]
        assert str(today) in due and min(due) < str(today) < max(due)


def test_timelines_are_not_empty_and_every_event_has_a_sentence(company):
    for (name,) in rows("select distinct type from event_log"):
        assert events.sentence_of(name)
    for entity, table in (
        ("deal", "deal"),
        ("account", "account"),
        ("contact", "contact"),
        ("ticket", "ticket"),
        ("lead", "lead"),
        ("campaign", "campaign"),
    ):
        query = f"select count(*) from {table} r where not exists (select 1 from event_log e where e.entity = '{entity}' and e.record_id = r.id)"
        assert one(query) == 0, entity


def test_search_texts_and_match_keys_are_those_that_saving_would_write(company):
    from crm_core import matching, search
    from crm_core.entities import ENTITIES

    with db.read_session() as session:
        for key, entity in ENTITIES.items():
            if not entity.search:
                continue
            records = session.execute(select(entity.model)).scalars().all()
            written = dict(session.execute(text("select record_id, text from search_document where entity = :e"), {"e": key}).all())
            assert written == {record.id: search.text_of(entity, record) for record in records}, key
            if key in matching.MATCHED:
                kept = {tuple(row) for row in rows("select record_id, kind, key from match_key where entity = :e", e=key)}
                assert kept == {(record.id, *pair) for record in records for pair in matching.keys_of(key, record)}, key


def test_managers_see_the_deals_of_everyone_below_and_reps_their_own(company):
    table = Base.metadata.tables["deal"]
    with db.read_session() as session:
        counts = {
            role: session.execute(select(func.count()).where(visible(actor(person), "deal", table))).scalar_one()
            for role, person in company.people.items()
            if role in ("administrator", "manager", "sales_rep")
        }
    assert counts["administrator"] == counts["manager"] == 150  # the first manager leads all of sales
    assert 5 < counts["sales_rep"] < 60


def test_summaries_agree_with_the_records(company):
    from crm_core import summaries

    with db.read_session() as session:
        assert set(summaries.differences(session).values()) == {0}


# --- the planted truth ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def medium(tmp_path_factory, sqlite_template):
    """Values of the medium company, drafted once without writing: name → columns."""
    from tests.conftest import _environment

    folder = tmp_path_factory.mktemp("medium")
    (folder / "rapport.db").write_bytes(Path(sqlite_template).read_bytes())
    with _environment(f"sqlite:///{folder / 'rapport.db'}", folder), db.read_session() as session:
        return demo.make(session, "medium", seed=3)


def test_the_basket_rule_is_in_the_orders(medium):
    lines, first, second, then = medium.tables["order_line"], *medium.known["rule"]
    baskets: dict[int, set[int]] = {}
    for order, product in zip(lines["order_id"].tolist(), lines["product_id"].tolist(), strict=True):
        baskets.setdefault(order, set()).add(product - 1)
    both = [basket for basket in baskets.values() if {first, second} <= basket]
    confidence = sum(then in basket for basket in both) / len(both)
    usual = sum(then in basket for basket in baskets.values()) / len(baskets)
    assert len(both) / len(baskets) > 0.03
    assert confidence > 2.5 * usual and 0.5 < confidence < 0.85


def test_customers_with_trouble_leave_more_often(medium):
    known = medium.known
    gone = np.isfinite(known["left"])
    calm = known["buys"] & ~known["trouble"]
    assert gone[known["trouble"]].mean() > gone[calm].mean() + 0.2


def test_nobody_orders_after_having_left(medium):
    order = medium.tables["sales_order"]
    regular = order["deal_id"] == 0
    days = (order["ordered_at"][regular].astype("datetime64[D]") - medium.today).astype(int)
    assert (days <= medium.known["left"][order["account_id"][regular] - 1]).all()


def test_the_kinds_of_customers_order_as_often_as_planted(medium):
    known, order = medium.known, medium.tables["sales_order"]
    regular = order["account_id"][order["deal_id"] == 0] - 1
    count = np.bincount(regular, minlength=medium.sizes.accounts)
    years = np.maximum(np.minimum(known["left"], 0) - known["first"], 1) / 365
    rate = [count[(known["kind"] == k) & known["buys"]].sum() / years[(known["kind"] == k) & known["buys"]].sum() for k in range(4)]
    planted = [kind.orders_per_year for kind in medium.truth.kinds.values()]
    assert np.argsort(rate).tolist() == np.argsort(planted).tolist()
    assert rate[0] / rate[3] == pytest.approx(planted[0] / planted[3], rel=0.35)


def test_a_campaign_lifts_responses_over_the_control_group(medium):
    member = medium.tables["campaign_member"]
    responded, letter = ~np.isnat(member["responded_at"]), member["campaign_id"] == medium.known["letter_campaign"]
    for rows, planted in ((~letter, medium.truth.campaign_lift), (letter, medium.truth.letter_lift)):
        groups = [responded[rows & ~member["is_control"]], responded[rows & member["is_control"]]]
        lift = groups[0].mean() - groups[1].mean()
        error = np.sqrt(sum(group.var() / len(group) for group in groups))
        assert lift > 1.5 * error and abs(lift - planted) < 3 * error


def test_sales_rise_before_christmas(medium):
    month = medium.tables["sales_order"]["ordered_at"].astype("datetime64[M]").astype(int) % 12
    per_month = np.bincount(month, minlength=12)
    assert per_month[10:].mean() > 1.2 * per_month[:10].mean()


def test_automations_are_at_work_and_nothing_leaves(company):
    states = dict(rows("select state, count(*) from automation_run group by state"))
    assert set(states) == {"waiting", "done", "failed"} and states["waiting"] >= 5
    assert one("select count(*) from automation where state = 'active'") == 6
    assert one("select count(*) from automation_inbox") == 0
    assert one("select count(*) from mail_delivery where kind = 'automation'") + one("select count(*) from webhook_delivery") == 0


def test_a_new_part_would_not_change_an_old_one(medium):
    """Each part draws from its own stream: the accounts are those of the seed, whatever is drawn later."""
    first = medium.stream(2).choice(4, medium.sizes.accounts, p=[kind.share for kind in medium.truth.kinds.values()])
    assert first.tolist() == medium.known["kind"].tolist()


# --- leaving ----------------------------------------------------------------------------------------------------------------


def test_leaving_empties_the_workspace_so_that_the_welcome_shows_again(company):
    root = actor(company.people["administrator"])
    with db.write_session() as session:
        demo.remove(session, root)
    with db.read_session() as session:
        assert setup.organisation(session) is None
    left = {name: one(f"select count(*) from {name}") for name in Base.metadata.tables}
    filled = {name for name, count in left.items() if count}
    installed = {"table_version", "role", "role_permission", "role_field_mask", "pipeline", "stage", "lead_status", "pick_option"}
    assert filled == installed


def test_after_leaving_the_demo_can_be_built_again(company):
    with db.write_session() as session:
        demo.remove(session, actor(company.people["administrator"]))
    again = demo.build(seed=1)
    assert again.rows == company.rows


def test_own_data_is_never_removed_this_way(any_cast):
    with pytest.raises(Conflict, match="own data"), db.write_session() as session:
        demo.remove(session, any_cast["root"])
    assert one("select count(*) from app_user") == 7


def test_only_who_manages_the_workspace_may_leave_the_demo(company):
    with pytest.raises(NotPermitted), db.write_session() as session:
        demo.remove(session, actor(company.people["sales_rep"]))
    assert one("select count(*) from deal") == 150


def test_the_small_company_is_built_while_somebody_waits(database):
    began = process_time()
    demo.build()
    assert process_time() - began < 3
