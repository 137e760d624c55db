"""Promotions: what a code takes off, why it can't be used, single codes drawn once, a budget that two at once can't overspend, shops, giving back."""

import threading
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_core import events
from crm_core.db import read_session, write_session
from crm_core.errors import Conflict, CrmError, Invalid, NotFound, NotPermitted
from crm_core.jobs.run import begin
from crm_core.kit import clock
from crm_core.models import Campaign, Notification, Order, OrderLine, Promotion, PromotionCode, Redemption
from crm_core.services import crud
from crm_core.services.admin.imports import outcome, undo
from crm_core.services.admin.imports.driver import Options, import_file, undo_batches
from crm_core.services.collaboration import outbox
from crm_core.services.marketing import handouts, letters, plans, segments, sending
from crm_core.services.sales import (
    code_checks,
    orders,
    promotion_codes,
    promotion_results,
    promotion_rules,
    promotions,
    redeeming,
)
from crm_core.vocabulary import EndReason, OrderStatus, Outlet, PlanState, PromotionEffect, PromotionState, ReleaseReason
from tests.crm_core.services.marketing.outreach import campaign, launch, members, no_quiet_hours, people, run
from tests.crm_core.services.sales.test_shops import SHOPIFY, WOO, all_of, make, send, work
from tests.verbs import do, look

LINES = [{"name": "Chai", "quantity": 3, "unit_price_minor": 10_00}, {"name": "Cups", "quantity": 1, "unit_price_minor": 20_00}]


def promo(actor, **more):
    values = {"name": "Spring", "code": "spring 26", "percent_off": 10, "state": "running", "per_customer": None}
    return do(promotions.create, actor, values | more)


def order(actor, rows=LINES, **more):
    made = do(orders.create, actor, {"status": "draft", **more})
    do(orders.set_lines, actor, made.id, rows)
    return made.id


def now(record_id, model=Promotion):
    with read_session() as session:
        return session.get(model, record_id)


def why(actor, order_id, code="SPRING26"):
    with pytest.raises(Invalid) as refused:
        do(redeeming.redeem, actor, order_id, code)
    return refused.value.fields["code"]


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=9), st.integers(0, 100))
def test_a_discount_is_dealt_out_to_the_last_cent_and_never_more_than_a_line(parts, pct):
    whole = sum(parts) * pct // 100
    dealt = promotion_rules.shares(parts, whole)
    assert sum(dealt) == (whole if sum(parts) else 0) and all(0 <= off <= part for off, part in zip(dealt, parts, strict=True))


def test_codes_hold_nothing_that_is_mixed_up_and_terms_are_words():
    assert not set("ILO01") & set(promotion_rules.ALPHABET)
    codes = {promotion_rules.new_code("TASTE") for _ in range(200)}
    assert len(codes) == 200 and all(len(code) == 15 and code.startswith("TASTE-") for code in codes)
    left = SimpleNamespace(
        effect=PromotionEffect.AMOUNT, amount_off_minor=10_00, budget_minor=100_00, spent_minor=95_00, max_redemptions=None, redeemed_count=9
    )  # fmt: skip
    assert promotion_rules.exhausted(left) is EndReason.BUDGET


def test_a_code_takes_its_part_off_the_lines_and_gives_it_back(any_cast):
    alice, root = any_cast["alice"], any_cast["root"]
    category = do(crud.create, root, "product", {"name": "Tea", "price_minor": 30_00})
    promotion = promo(root, product_id=category.id, min_order_minor=40_00, budget_minor=500_00)
    mine = order(alice, [{"product_id": category.id, "quantity": 2}, {"name": "Cups", "quantity": 1, "unit_price_minor": 20_00}])
    used = do(redeeming.redeem, alice, mine, " spring26 ")
    assert used.amount_minor == 6_00 and now(mine, Order).total_minor == 74_00
    assert [(line.total_minor, line.promotion_minor) for line in all_of(OrderLine)] == [(54_00, 6_00), (20_00, 0)]
    assert (now(promotion.id).spent_minor, now(promotion.id).redeemed_count) == (6_00, 1)
    assert "of the same promotion already" in why(alice, mine)
    do(orders.set_lines, alice, mine, [{"product_id": category.id, "quantity": 4}])
    assert now(mine, Order).total_minor == 108_00 and now(promotion.id).spent_minor == 12_00
    do(orders.move, alice, mine, OrderStatus.CANCELLED)
    assert (now(promotion.id).spent_minor, now(promotion.id).redeemed_count, now(mine, Order).total_minor) == (0, 0, 108_00)
    do(orders.move, alice, mine, OrderStatus.DRAFT)
    assert now(promotion.id).redeemed_count == 1
    do(crud.archive, root, "order", mine)
    assert now(promotion.id).redeemed_count == 0
    do(promotions.update, root, promotion.id, {"budget_minor": 5_00})
    do(crud.restore, root, "order", mine)  # the budget can't bear it any more
    assert now(mine, Order).total_minor == 120_00 and now(used.id, Redemption).released_because is ReleaseReason.NOT_AGAIN
    do(promotions.update, root, promotion.id, {"budget_minor": 500_00})
    again = do(redeeming.redeem, alice, mine, "SPRING26")
    do(orders.set_lines, alice, mine, [{"product_id": category.id, "quantity": 1}])  # below the minimum: it comes off by itself
    assert now(again.id, Redemption).released_because is ReleaseReason.MINIMUM and now(mine, Order).total_minor == 30_00
    (last,) = look(redeeming.of_order, alice, mine)
    assert "no longer reaches the minimum" in last.released
    do(orders.set_lines, alice, mine, [{"product_id": category.id, "quantity": 2}])
    third = do(redeeming.redeem, alice, mine, "SPRING26")
    do(redeeming.take_off, alice, mine, third.id)
    assert now(mine, Order).total_minor == 60_00 and now(promotion.id).spent_minor == 0
    with pytest.raises(Conflict):
        do(redeeming.take_off, alice, mine, third.id)


def test_one_sentence_says_why_not(cast):
    alice, root, dana = cast["alice"], cast["root"], cast["dana"]
    today = clock.today()
    contact = do(crud.create, root, "contact", {"name": "Ida Berg", "city": "Oslo"})
    other = do(crud.create, root, "contact", {"name": "Bo Lund", "city": "Bergen"})
    promotion = promo(dana, name="Spring")
    mine = order(alice, contact_id=contact.id)
    assert "no code “NOPE”" in why(alice, mine, "nope") and "Type the code" in why(alice, mine, "  ")
    for changes, words in (
        ({"starts_on": today + timedelta(days=3)}, "valid from"),
        ({"starts_on": None, "min_order_minor": 60_00}, r"come to $50; this code needs at least $60"),
        ({"min_order_minor": None, "budget_minor": 3_00}, "would get $5 off, and the promotion's budget has only $3 left"),
        ({"budget_minor": None, "state": "paused"}, "is paused"),
        ({"state": "ended"}, "takes no more orders: ended by hand"),
    ):
        do(promotions.update, dana, promotion.id, changes)
        assert words in why(alice, mine)
    do(promotions.move, dana, promotion.id, PromotionState.RUNNING)
    with write_session() as session:
        row = session.get(Promotion, promotion.id)
        row.ends_on = today - timedelta(days=1)
        session.add(row)
    assert "was valid until" in why(alice, mine)
    do(promotions.update, dana, promotion.id, {"ends_on": None, "per_customer": 1})
    do(promotions.set_audience, dana, promotion.id, of="contact", rule={"field": "city", "cmp": "eq", "value": "Bergen"})
    assert why(alice, mine) == "This code is not for this customer."
    assert "Choose the customer" in why(alice, order(alice))
    assert do(promotions.audience_size, dana, promotion.id) == (1, 2)
    theirs = order(alice, contact_id=other.id)
    do(redeeming.redeem, alice, theirs, "SPRING26")
    assert "used the promotion once" in why(alice, order(alice, contact_id=other.id))
    do(promotions.set_audience, dana, promotion.id, of="contact", rule=None)
    segment = do(segments.create, dana, name="Oslo", entity="contact", kind="static", record_ids=[other.id])
    do(promotions.update, dana, promotion.id, {"segment_id": segment})
    assert why(alice, mine) == "This code is not for this customer."
    do(orders.move, alice, mine, OrderStatus.CANCELLED)
    assert "is cancelled" in why(alice, mine)
    with pytest.raises(NotFound):
        do(redeeming.redeem, cast["charlie"], mine, "SPRING26")
    with pytest.raises(NotPermitted):
        do(redeeming.redeem, cast["sam"], mine, "SPRING26")
    with pytest.raises(NotPermitted):
        do(promotions.create, alice, {"name": "Mine"})


def test_what_can_not_be_is_refused_in_words(cast):
    dana = cast["dana"]
    promo(dana)
    for values, field in (
        ({"name": "Twin"}, "code"),
        ({"name": "Bare", "code": "X"}, "code"),
        ({"name": "Nothing off", "code": "ZERO", "percent_off": None}, "percent_off"),
        ({"name": "Backwards", "code": "BACK", "starts_on": date(2026, 3, 2), "ends_on": date(2026, 3, 1)}, "ends_on"),
        ({"name": "Late", "code": "LATE", "ends_on": date(2020, 1, 1)}, "ends_on"),
    ):
        with pytest.raises(Invalid) as refused:
            promo(dana, **values)
        assert field in refused.value.fields
    draft = promo(dana, name="Draft", code=None, state="draft")
    with pytest.raises(Invalid, match="say which"):
        do(promotions.move, dana, draft.id, PromotionState.RUNNING)
    with pytest.raises(Invalid, match="can't become ended"):
        do(promotions.move, dana, draft.id, PromotionState.ENDED)
    with pytest.raises(Conflict, match="same code"):
        do(promotion_codes.give_out, dana, draft.id, 5, "Flyer")


@pytest.mark.parametrize("how", ["count", "money"])
def test_two_at_once_never_overspend(any_cast, how):
    """Ten orders want a promotion that bears three; its end is told to its owner once."""
    root, dana = any_cast["root"], any_cast["dana"]
    bound = (
        {"max_redemptions": 3}
        if how == "count"
        else {"budget_minor": 17_00, "percent_off": None, "effect": "amount", "amount_off_minor": 5_00}
    )
    promotion = promo(dana, owner_id=dana.user_id, **bound)
    wanted = [order(root) for _ in range(10)]
    start, done = threading.Barrier(5), []

    def use(part):
        start.wait()
        for one in part:
            try:
                done.append(do(redeeming.redeem, root, one, "SPRING26").amount_minor)
            except CrmError as error:
                done.append(error.message)

    threads = [threading.Thread(target=use, args=(wanted[n::5],)) for n in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    row = now(promotion.id)
    assert [one for one in done if isinstance(one, int)] == [5_00] * 3, done
    assert (row.redeemed_count, row.spent_minor, row.state) == (3, 15_00, PromotionState.ENDED)
    assert row.ended_because is (EndReason.COUNT if how == "count" else EndReason.BUDGET)
    assert len([note for note in all_of(Notification) if note.kind == "promotion.ended"]) == 1
    assert sum(one.total_minor for one in all_of(Order)) == 10 * 50_00 - 15_00


def test_each_reader_draws_one_code_whatever_is_tried_again(any_cast, monkeypatch):
    root, dana, alice = any_cast["root"], any_cast["dana"], any_cast["alice"]
    no_quiet_hours(root)
    promotion = promo(dana, code="TASTE", code_kind="single", per_customer=1)
    ids = people(3)
    sent = campaign(dana, ids, body="Take {{coupon}} to [the shop](https://shop.example.com).")
    plan = look(plans.get, dana, sent)
    (wording,) = look(plans.variants, dana, sent)
    assert any(flaw.stops and "choose the promotion" in flaw.words for flaw in look(letters.lint, dana, plan, wording))
    do(plans.save, dana, sent, {"promotion_id": promotion.id})
    plan = look(plans.get, dana, sent)
    assert "TASTE-ABCD-2345" in look(letters.previews, dana, plan, wording)[0].letter.text and not all_of(PromotionCode)
    launch(dana, sent)
    real, tries = outbox.queue, []

    def broken(*args, **kwargs):
        tries.append(kwargs["dedupe_key"])
        if len(tries) == 2:
            raise RuntimeError("killed in the middle")
        return real(*args, **kwargs)

    monkeypatch.setattr(outbox, "queue", broken)
    with pytest.raises(RuntimeError):
        run(sent)
    assert not all_of(PromotionCode)  # nothing of the half batch stayed
    run(sent, "campaign.send:again")
    run(sent, "campaign.send:once more")
    codes = {row.contact_id: row.code for row in all_of(PromotionCode)}
    assert set(codes) == set(ids) and len(set(codes.values())) == 3
    again = do(promotion_codes.draw, promotion.id, "contact", ids)
    assert again == codes  # a reminder shows the same
    mine = order(alice, contact_id=ids[0])
    assert why(alice, mine, codes[ids[1]]) == "This code was given to somebody else."
    used = do(redeeming.redeem, alice, mine, codes[ids[0]].lower())
    assert used.campaign_id == sent and used.code_id is not None
    assert "works once" in why(alice, order(alice, contact_id=ids[0]), codes[ids[0]])
    rows, total = look(promotion_codes.find, dana, promotion.id, used=True)
    assert total == 1 and (rows[0].to, rows[0].order_id) == ("Ida0 Person", mine)
    do(promotion_codes.give_out, dana, promotion.id, 40, "Flyer")
    (batch,) = look(promotion_codes.batches, dana, promotion.id)
    assert (batch.purpose, batch.count, batch.used) == ("Flyer", 40, 0)
    assert look(promotion_codes.batch_file, dana, promotion.id, "Flyer").count(b"TASTE-") == 40
    with pytest.raises(Invalid, match="already"):
        do(promotion_codes.give_out, dana, promotion.id, 1, "Flyer")
    printed = do(segments.create, dana, name="Printed", entity="contact", kind="static", record_ids=ids)
    post = do(crud.create, dana, "campaign", {"name": "Post"})
    do(
        plans.save,
        dana,
        post.id,
        {"segment_ids": [printed], "holdout_pct": 0, "outlet": Outlet.CALL_LIST, "promotion_id": promotion.id},
    )
    people_with_phones(ids)
    launch(dana, post.id)
    made = do(handouts.export, dana, post.id).decode("utf-8-sig")
    assert made.splitlines()[0].endswith("Code") and codes[ids[1]] in made and codes[ids[0]] not in made
    do(redeeming.redeem, alice, order(alice, contact_id=ids[1]), codes[ids[1]])
    assert do(handouts.export, dana, post.id).decode("utf-8-sig") == made  # nobody gets a second one for having used theirs
    do(promotions.move, dana, promotion.id, PromotionState.ENDED)
    with pytest.raises(Conflict, match="is ended"):
        do(handouts.export, dana, post.id)


def test_a_paused_promotion_holds_letters_with_a_code_back_and_only_they_draw_one(cast):
    root, dana = cast["root"], cast["dana"]
    no_quiet_hours(root)
    promotion, ids = promo(dana, code="TASTE", code_kind="single"), people(6)
    sent = campaign(dana, ids, promotion_id=promotion.id)
    plain, coded = {"subject": "News", "body": "Come and see."}, {"subject": "News", "body": "Take {{coupon}} along."}
    do(plans.set_variants, dana, sent, [plain, coded])
    launch(dana, sent)
    readers = {wording: {row.contact_id for row in members(sent) if row.variant == wording} for wording in "AB"}
    do(promotions.move, dana, promotion.id, PromotionState.PAUSED)
    run(sent)
    found = look(sending.progress, dana, sent)
    assert readers["A"] and readers["B"] and not found.skipped and not all_of(PromotionCode)
    assert (found.waiting, found.held, found.promotion) == (len(readers["B"]), len(readers["B"]), "Spring")
    assert look(plans.get, dana, sent).state is PlanState.SENDING
    with clock.frozen(clock.utcnow() + timedelta(minutes=3)):
        assert look(sending.anything_waits)  # so the clock looks again
        do(promotions.move, dana, promotion.id, PromotionState.RUNNING)
        sending.wake(begin("campaign.wake:test", "campaign.wake"))
    assert {row.contact_id for row in all_of(PromotionCode)} == readers["B"]
    assert {row.step for row in members(sent)} == {"queued"} and look(sending.progress, dana, sent).held == 0


def test_letters_without_a_code_go_out_when_their_promotion_has_ended(cast):
    """Its other wording, and parts for a segment that a reader is not in, have nothing to do with the code."""
    root, dana = cast["root"], cast["dana"]
    no_quiet_hours(root)
    promotion, ids = promo(dana, code="TASTE", code_kind="single"), people(4)
    inner = do(segments.create, dana, name="Inner", entity="contact", kind="static", record_ids=ids[:1])
    body = f"Hello.\n\n{{{{#only {inner}}}}}\nTake {{{{coupon}}}} along.\n{{{{/only}}}}"
    sent = campaign(dana, ids, body=body, promotion_id=promotion.id)
    launch(dana, sent)
    do(promotions.move, dana, promotion.id, PromotionState.ENDED)
    run(sent)
    assert {row.contact_id: row.step for row in members(sent)} == {ids[0]: "skipped", **dict.fromkeys(ids[1:], "queued")}


def people_with_phones(ids):
    from crm_core.models import Contact

    with write_session() as session:
        for one in ids:
            row = session.get(Contact, one)
            row.phone = f"+49 30 90182{one:04}"
            session.add(row)


def test_orders_of_shops_bring_their_codes(cast):
    root = cast["root"]
    do(crud.create, root, "campaign", {"name": "Spring"})
    promotion = promo(root, code="TEN", max_redemptions=1, campaign_id=all_of(Campaign)[0].id)
    shop = make(cast)
    given = SHOPIFY | {
        "discount_codes": [{"code": "ten", "amount": "10.00", "type": "fixed_amount"}, {"code": "SHOPONLY", "amount": "1.00"}]
    }
    send(shop, "orders/create", given, "d1")
    work()
    (row,) = all_of(Redemption)
    assert (row.amount_minor, row.from_shop, row.remark, row.campaign_id) == (10_00, True, "", promotion.campaign_id)
    assert sum(line.total_minor for line in all_of(OrderLine)) == all_of(Order)[0].total_minor == 409_94
    assert now(promotion.id).state is PromotionState.ENDED  # it was the only one
    second = WOO | {"coupon_lines": [{"code": "TEN", "discount": "2.00", "discount_tax": "0.15"}]}
    send(make(cast, kind=shop.kind.__class__("woocommerce")), "order.created", second, "d2")
    work()
    late = all_of(Redemption)[1]
    assert late.amount_minor == 2_15 and "takes no more orders" in late.remark
    assert now(promotion.id).spent_minor == 12_15
    send(
        shop,
        "orders/cancelled",
        given | {"updated_at": "2026-01-11T11:00:05-05:00", "cancelled_at": "2026-01-11T11:00:05-05:00"},
        "d3",
    )
    work()
    assert now(promotion.id).spent_minor == 2_15 and all_of(Redemption)[0].released_because is ReleaseReason.CANCELLED
    with write_session() as session, pytest.raises(Invalid, match="comes from a shop"):
        code_checks.check(session, root, all_of(Order)[1].id, "TEN")


def test_it_ends_after_its_last_day_and_says_what_came_of_it(cast):
    root, ana = cast["root"], cast["ana"]
    day = datetime(2026, 3, 10, 12, tzinfo=UTC)
    with clock.frozen(day):
        contact = do(crud.create, root, "contact", {"name": "Ida Berg"})
        promotion = promo(root, ends_on=date(2026, 3, 12), starts_on=date(2026, 3, 1))
        order(root, contact_id=contact.id, status="placed")
        mine = order(root, contact_id=contact.id, status="placed")
        do(redeeming.redeem, root, mine, "SPRING26")
        found = look(promotion_results.of, ana, promotion.id)
    assert (found.redeemed, found.sold, found.revenue_minor, found.discount_minor) == (1, 1, 45_00, 5_00)
    assert (found.with_minor, found.without_minor, found.without, found.new, found.returning) == (45_00, 50_00, 1, 0, 1)
    assert not found.difference.enough
    with clock.frozen(day + timedelta(days=4)):
        assert look(promotions.anything_over)
        promotions.end_what_is_over(begin("promotions.end:test", "promotions.end"))
        assert now(promotion.id).ended_because is EndReason.DATE and not look(promotions.anything_over)
    assert events.declared("promotion.ended")


def test_a_file_that_cancels_orders_gives_their_codes_back(cast, tmp_path):
    root = cast["root"]
    promotion = promo(root, budget_minor=5_00)
    mine = order(root)
    do(redeeming.redeem, root, mine, "SPRING26")
    number = now(mine, Order).number
    for status, spent, total in (("Cancelled", 0, 45_00), ("Draft", 5_00, 45_00)):
        path = tmp_path / f"{status}.csv"
        path.write_text(f"Number,Status,Ordered\n{number},{status},2026-03-01\n")
        assert import_file(path, "order", actor=root, options=Options()).updated == 1
        assert (now(promotion.id).spent_minor, now(mine, Order).total_minor) == (spent, total)


def with_and_without(root, customers):
    """Forty orders of as many people, every second one with the code and some ten euros dearer."""
    people = [do(crud.create, root, "contact", {"name": f"Ida Berg {n}"}) for n in range(customers)]
    promotion = promo(root, starts_on=date(2026, 3, 1))
    used, others = [], []
    for n in range(40):
        made = order(root, contact_id=people[n % customers].id, status="placed")
        if n % 2:
            do(redeeming.redeem, root, made, "SPRING26")
        (used if n % 2 else others).append(made)
    with write_session() as session:
        for group, base in ((used, 60_00), (others, 50_00)):
            for n, one in enumerate(group):
                session.get(Order, one if isinstance(one, int) else one.id).total_minor = base + (100 if n % 2 else -100)
    return look(promotion_results.of, root, promotion.id)


def test_orders_with_and_without_a_code_differ_by_a_range(any_cast):
    with clock.frozen(datetime(2026, 3, 10, 12, tzinfo=UTC)):
        found = with_and_without(any_cast["root"], 40)
    gap = found.difference
    # each of 40 customers adds a twentieth of a euro: the root of 40 / 400 x 40 / 39, times t with 19 degrees of freedom
    half = 2.0930 * 100 * (0.1 * 40 / 39) ** 0.5
    assert (gap.value, gap.enough, gap.clear) == (10_00, True, True)
    assert (found.customers_with, found.customers_without) == (20, 20)
    assert (gap.low, gap.high) == (pytest.approx(10_00 - half, abs=0.1), pytest.approx(10_00 + half, abs=0.1))


def test_many_orders_of_few_customers_tell_nothing_about_customers(any_cast):
    with clock.frozen(datetime(2026, 3, 10, 12, tzinfo=UTC)):
        found = with_and_without(any_cast["root"], 4)
    assert (found.sold, found.without, found.customers_with, found.customers_without) == (20, 20, 2, 2)
    assert not found.difference.enough and "20 customers" in found.difference.missing


def imported(root, path, rows):
    path.write_text("Number,Status,Total,Ordered\n" + "".join(f"{','.join(row)},2026-03-01\n" for row in rows))
    return import_file(path, "order", actor=root, options=Options())


def undone(root, run):
    do(undo.revert, root, run.id)
    return undo_batches(run.id)


def test_an_undone_import_takes_the_codes_of_its_orders_again(any_cast, tmp_path):
    """Two orders were cancelled by a file; meanwhile the single code of one of them was used on another order."""
    root = any_cast["root"]
    shared, single = promo(root), promo(root, name="Flyer", code="FLY", code_kind="single")
    do(promotion_codes.give_out, root, single.id, 1, "Flyer")
    (code,) = all_of(PromotionCode)
    first, second = order(root), order(root)
    do(redeeming.redeem, root, first, "SPRING26")
    do(redeeming.redeem, root, second, code.code)
    numbers = [now(one, Order).number for one in (first, second)]
    run = imported(root, tmp_path / "cancelled.csv", [(number, "Cancelled", "44") for number in numbers])
    assert (now(shared.id).spent_minor, now(single.id).redeemed_count) == (0, 0)
    do(redeeming.redeem, root, order(root), code.code)
    back = undone(root, run)
    assert (back.report["undo"]["restored"], back.report["undo"]["kept"]) == (2, 0)
    assert (now(shared.id).spent_minor, now(shared.id).redeemed_count, now(single.id).redeemed_count) == (5_00, 1, 1)
    assert [(now(one, Order).status, now(one, Order).total_minor) for one in (first, second)] == [
        (OrderStatus.DRAFT, 45_00),
        (OrderStatus.DRAFT, 50_00),
    ]
    assert [line.promotion_minor for line in all_of(OrderLine)][:4] == [3_00, 2_00, 0, 0]
    words = [row["why"] for row in look(outcome.rows, root, run.id)]
    assert words[0] == "" and "so the order has its full price. It was used on another order since." in words[1]
    assert "1 could not get everything back" in undo.summary(back)


def test_an_undone_import_gives_codes_back_that_it_took(cast, tmp_path):
    """A file took a cancelled order back, twice; undone, it is cancelled again and its code free."""
    root, promotion = cast["root"], promo(cast["root"])
    mine = order(root)
    do(redeeming.redeem, root, mine, "SPRING26")
    do(orders.move, root, mine, OrderStatus.CANCELLED)
    number = now(mine, Order).number
    run = imported(root, tmp_path / "back.csv", [(number, "Draft", "45"), (number, "Placed", "45")])
    assert now(promotion.id).redeemed_count == 1
    back = undone(root, run)
    assert back.report["undo"]["kept"] == 0 and now(mine, Order).status is OrderStatus.CANCELLED
    assert now(promotion.id).redeemed_count == 0


def test_orders_with_two_codes_hold_the_promotions_in_one_order(any_cast, monkeypatch):
    """Two orders of a shop name the same two codes, each the other way round, at the same moment: neither waits for the other."""
    root = any_cast["root"]
    made = [promo(root, name=name, code=name) for name in ("FIRST", "SECOND")]
    pairs = [(order(root), codes) for codes in ((("FIRST", 1_00), ("SECOND", 2_00)), (("SECOND", 2_00), ("FIRST", 1_00)))]
    real, meet, held, wrong = promotions.locked, threading.Barrier(2), threading.local(), []

    def locked(session, promotion_id):
        row = real(session, promotion_id)
        if not getattr(held, "any", False):
            held.any = True
            with suppress(threading.BrokenBarrierError):
                meet.wait(1)
        return row

    def take(order_id, codes):
        try:
            with write_session() as session:
                redeeming.from_shop(session, root, session.get_one(Order, order_id), codes)
        except Exception as error:
            wrong.append(error)

    monkeypatch.setattr(promotions, "locked", locked)
    threads = [threading.Thread(target=take, args=pair) for pair in pairs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert [(now(one.id).redeemed_count, now(one.id).spent_minor) for one in made] == [(2, 2_00), (2, 4_00)]
