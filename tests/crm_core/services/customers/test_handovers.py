"""An account changes hands only when its receiver accepts, with everything that they need to know."""

import pytest
from sqlalchemy.event import listen
from sqlmodel import select

from crm_core.access import load
from crm_core.db import read_session, write_session
from crm_core.errors import Conflict, Invalid, NotFound, NotPermitted
from crm_core.models import Account, Handover, Role, RoleFieldMask, RolePermission
from crm_core.services.collaboration import notifications, timeline
from crm_core.services.customers import accounts, checklists, contacts, handovers
from crm_core.vocabulary import Action, FieldLevel, HandoverEdge, HandoverState, Scope
from tests.verbs import do


def see(verb, *args, **kwargs):
    with read_session() as session:
        return verb(session, *args, **kwargs)


@pytest.fixture
def account(cast):
    return do(accounts.create, cast["alice"], {"name": "Acme"})


def prepare(cast, account, offer):
    do(contacts.create, cast["alice"], {"name": "Maria", "account_id": account.id, "goals": "Fewer outages", "language": "German"})
    for item in see(handovers.get, cast["alice"], offer.id).items:
        do(handovers.tick, cast["alice"], item.id, done=True)


def test_an_account_is_offered_prepared_and_accepted(cast, account):
    alice, sam = cast["alice"], cast["sam"]
    offer = do(handovers.offer, alice, account.id, to_user_id=sam.user_id, note="They call every Monday.")
    with read_session() as session:
        kept = session.get(Account, account.id)
        assert (kept.owner_id, kept.handover_state) == (alice.user_id, HandoverState.PENDING)
    assert [view.account for view in see(handovers.waiting, sam)] == ["Acme"]
    with pytest.raises(Invalid, match="Not ticked yet: What the customer wants"):
        do(handovers.accept, sam, offer.id)
    prepare(cast, account, offer)
    view = see(handovers.get, sam, offer.id)
    assert view.mine and view.open_required == [] and {item.done_by for item in view.items} == {"Alice Rep"}
    do(handovers.accept, sam, offer.id, base_version=view.version)
    with read_session() as session:
        taken = session.get(Account, account.id)
        assert (taken.owner_id, taken.handover_state) == (sam.user_id, HandoverState.ACCEPTED)
        sentences = [item.sentence for item in timeline.find(session, sam, "account", account.id, kinds="changes")[0]]
    assert sentences[0] == "accepted the hand-over" and "offered the account to {to}" in sentences
    assert see(handovers.waiting, sam) == [] and see(handovers.offered, alice) == []
    assert do(accounts.update, sam, account.id, {"city": "Oslo"}).changed == ("city",), "who accepted it can work on it"


def test_an_administrator_writes_the_checklist_of_an_edge_and_running_hand_overs_keep_theirs(cast, account):
    root, edge = cast["root"], HandoverEdge.SALES_SERVICE
    offer = do(handovers.offer, cast["alice"], account.id, to_user_id=cast["sam"].user_id)
    before = [item.label for item in see(handovers.get, cast["alice"], offer.id).items]
    base = see(checklists.find, root)[edge].rows
    rows = [{"label": "Goals  known", "required": True, "looks_at": "goals"}, {"label": "Keys are back"}]
    do(checklists.save, root, edge, rows, base=base)
    assert [item.label for item in see(handovers.get, cast["alice"], offer.id).items] == before
    with pytest.raises(Conflict, match="this checklist"):
        do(checklists.save, root, edge, rows, base=base)
    for wrong, words in (
        ([], "at least one"),
        ([rows[1], rows[1]], "twice"),
        ([{"label": "x" * 201}], "at most 200"),
        ([{"label": "x", "looks_at": "moon"}], "looks at"),
    ):
        with pytest.raises(Invalid, match=words):
            do(checklists.save, root, edge, wrong)
    with pytest.raises(NotPermitted):
        do(checklists.save, cast["alice"], edge, rows)
    do(handovers.withdraw, cast["alice"], offer.id)
    offer = do(
        handovers.offer, cast["alice"], account.id, to_user_id=cast["sam"].user_id, leave_out=["Goals known", "Keys are back"]
    )
    assert [(item.label, item.required) for item in see(handovers.get, cast["alice"], offer.id).items] == [("Goals known", True)]
    do(checklists.reset, root, edge)
    assert [item.label for item in see(checklists.find, root)[edge].items] == before


def test_goals_and_preferences_are_ticked_by_what_the_records_hold(cast, account):
    do(contacts.create, cast["alice"], {"name": "Maria", "account_id": account.id, "goals": "Fewer outages"})
    offer = do(handovers.offer, cast["alice"], account.id, to_user_id=cast["sam"].user_id)
    goals, preferences, *_ = see(handovers.get, cast["alice"], offer.id).items
    assert goals.done and not preferences.done and "preferred channel" in preferences.missing
    with pytest.raises(Invalid, match="Write one down first"):
        do(handovers.tick, cast["alice"], preferences.id, done=True)


def test_declining_needs_a_reason_and_leaves_the_account_where_it_was(cast, account):
    alice, sam = cast["alice"], cast["sam"]
    offer = do(handovers.offer, alice, account.id, to_user_id=sam.user_id)
    with pytest.raises(Invalid) as caught:
        do(handovers.decline, sam, offer.id, reason="  ")
    assert "what is missing" in caught.value.fields["reason"]
    do(handovers.decline, sam, offer.id, reason="No contract attached")
    assert [(view.state, view.reason) for view in see(handovers.offered, alice)] == [
        (HandoverState.DECLINED, "No contract attached")
    ]
    with pytest.raises(Conflict, match="was declined"):
        do(handovers.accept, sam, offer.id)
    again = do(handovers.offer, alice, account.id, to_user_id=sam.user_id)
    assert [view.id for view in see(handovers.offered, alice)] == [again.id]


def test_only_the_receiver_decides_and_only_editors_offer_and_withdraw(cast, account):
    alice, sam, charlie = cast["alice"], cast["sam"], cast["charlie"]
    with pytest.raises(NotPermitted):
        do(handovers.offer, charlie, account.id, to_user_id=sam.user_id)
    with pytest.raises(NotPermitted):
        do(handovers.offer, cast["ana"], account.id, to_user_id=sam.user_id)
    offer = do(handovers.offer, alice, account.id, to_user_id=sam.user_id)
    item = see(handovers.get, charlie, offer.id).items[2]
    for verb, kwargs in ((handovers.accept, {}), (handovers.decline, {"reason": "x"}), (handovers.withdraw, {})):
        with pytest.raises(NotPermitted):
            do(verb, charlie, offer.id, **kwargs)
    with pytest.raises(NotPermitted):
        do(handovers.tick, charlie, item.id, done=True)
    do(handovers.withdraw, cast["bob"], offer.id)
    assert see(handovers.waiting, sam) == []


def test_two_clicks_offer_once_and_a_second_offer_waits_for_the_first(cast, account):
    alice, sam = cast["alice"], cast["sam"]
    first = do(handovers.offer, alice, account.id, to_user_id=sam.user_id, submit_key="k")
    assert do(handovers.offer, alice, account.id, to_user_id=sam.user_id, submit_key="k").id == first.id
    with pytest.raises(Conflict, match="already waiting"):
        do(handovers.offer, alice, account.id, to_user_id=cast["bob"].user_id)
    with pytest.raises(Conflict), write_session() as session:  # the database says so too, when two are faster than the question
        session.add(Handover(account_id=account.id))


def test_who_can_not_see_accounts_or_owns_it_can_not_receive_it(cast, account):
    able, missing = see(handovers.colleagues, cast["alice"], account.id)
    assert cast["alice"].user_id not in able and cast["sam"].user_id in able
    assert missing == ["Ana Analyst", "Dana Marketer"], "they see accounts, and could not edit one of their own"
    for to, words in (
        (cast["alice"].user_id, "owns this account"),
        (cast["ana"].user_id, "does not let them edit"),
        (None, "Choose who"),
        (9_999, "Choose who"),
    ):
        with pytest.raises(Invalid) as caught:
            do(handovers.offer, cast["alice"], account.id, to_user_id=to)
        assert words in caught.value.fields["to_user_id"]


def test_own_items_are_added_and_required_ones_stay(cast, account):
    edge = HandoverEdge.SALES_SERVICE
    offer = do(
        handovers.offer, cast["alice"], account.id, to_user_id=cast["sam"].user_id, edge=edge,
        leave_out=["Offer and contract are attached", "The customer knows who is taking over"], more=["Keys\nto  the office", ""],
    )  # fmt: skip
    labels = [item.label for item in see(handovers.get, cast["sam"], offer.id).items]
    assert "Keys to the office" in labels and "Offer and contract are attached" not in labels
    assert "The customer knows who is taking over" in labels


def test_a_stale_decision_and_a_binned_account_are_refused(cast, account):
    alice, sam = cast["alice"], cast["sam"]
    offer = do(handovers.offer, alice, account.id, to_user_id=sam.user_id)
    with pytest.raises(Conflict, match="meanwhile"):
        do(handovers.decline, sam, offer.id, reason="x", base_version=offer.version + 1)
    from crm_core.services import crud

    do(crud.archive, cast["root"], "account", account.id)
    with pytest.raises(NotFound):
        do(handovers.accept, sam, offer.id)
    assert see(handovers.waiting, sam) == []


def test_who_sees_only_their_own_accounts_is_told_before_it_is_theirs_and_after_it_was(cast, account):
    with write_session() as session:
        for row in session.exec(
            select(RolePermission).where(RolePermission.entity == "account", RolePermission.action == Action.READ)
        ):
            row.scope = Scope.OWN
    alice, sam = see(lambda session, actor: load(session, actor.user_id), cast["alice"]), cast["sam"]
    offer = do(handovers.offer, alice, account.id, to_user_id=sam.user_id)
    sam = see(lambda session, actor: load(session, actor.user_id), sam)
    note = see(notifications.find, sam)[0][0]
    assert (note.text(), note.page) == ("Alice Rep wants to hand Acme over to you", "today")
    waiting = see(handovers.waiting, sam)[0]
    assert waiting.account == "Acme" and not waiting.may_open
    prepare(cast, account, offer)
    do(handovers.accept, sam, offer.id)
    with pytest.raises(NotFound):
        see(accounts.figures, alice, account.id)
    assert see(accounts.figures, sam, account.id) is not None
    note = see(notifications.find, alice)[0][0]
    assert (note.text(), note.page) == ("Sam Agent took Acme over", "")


def test_many_hand_overs_are_read_with_no_more_statements_than_one_each_with_what_it_lacks(cast, account):
    alice, sam, asked = cast["alice"], cast["sam"], []

    def waiting():
        with read_session() as session:
            listen(session.connection(), "before_cursor_execute", lambda _c, _cursor, statement, *_: asked.append(statement))
            found = handovers.waiting(session, sam)
            count = len(asked)
            asked.clear()
        return count, {view.account: [bool(item.missing) for item in view.items[:2]] for view in found}

    do(handovers.offer, alice, account.id, to_user_id=sam.user_id)
    few, lacking = waiting()
    assert lacking == {"Acme": [True, True]}
    for number in range(3):
        other = do(accounts.create, alice, {"name": f"Other {number}"})
        do(handovers.offer, alice, other.id, to_user_id=sam.user_id)
    do(contacts.create, alice, {"name": "Maria", "account_id": account.id, "goals": "Fewer outages"})
    do(contacts.create, alice, {"name": "Ida", "account_id": other.id, "language": "German"})
    many, lacking = waiting()
    assert many <= few
    assert lacking == {"Acme": [False, True], "Other 0": [True, True], "Other 1": [True, True], "Other 2": [True, False]}


def test_nobody_is_reminded_of_an_offer_once_it_is_decided(cast, account):
    alice, sam = cast["alice"], cast["sam"]
    for decide in (
        lambda offer: do(handovers.withdraw, alice, offer),
        lambda offer: do(handovers.decline, sam, offer, reason="No"),
    ):
        offer = do(handovers.offer, alice, account.id, to_user_id=sam.user_id)
        assert see(notifications.unread, sam) == 1
        decide(offer.id)
        assert see(notifications.unread, sam) == 0


def lock_owner(role_key, actor):
    """The role may only read the owner of accounts from now on; the actor as they are then."""
    with write_session() as session:
        role = session.exec(select(Role).where(Role.key == role_key)).one()
        session.add(RoleFieldMask(role_id=role.id, entity="account", field_key="owner_id", level=FieldLevel.READ))
    return see(lambda session: load(session, actor.user_id))


def test_a_role_that_only_reads_the_owner_hands_nothing_over(cast, account):
    alice = lock_owner("sales_rep", cast["alice"])
    with pytest.raises(Invalid) as refused:
        do(handovers.offer, alice, account.id, to_user_id=cast["sam"].user_id)
    assert refused.value.fields == {"owner_id": "Owner is read-only for your role."}
    assert see(handovers.of_account, alice, account.id) is None


def test_a_role_that_only_reads_the_owner_takes_nothing_over_but_can_send_it_back(cast, account):
    alice = cast["alice"]
    offer = do(handovers.offer, alice, account.id, to_user_id=cast["sam"].user_id)
    prepare(cast, account, offer)
    sam = lock_owner("support_agent", cast["sam"])
    with pytest.raises(Invalid) as refused:
        do(handovers.accept, sam, offer.id)
    assert refused.value.fields == {"owner_id": "Owner is read-only for your role."}
    with read_session() as session:
        assert session.get(Account, account.id).owner_id == alice.user_id
    do(handovers.decline, sam, offer.id, reason="I may not take accounts over.")
    able, missing = see(handovers.colleagues, alice, account.id)
    assert sam.user_id not in able and "Sam Agent" in missing
    with pytest.raises(Invalid, match="change the owner"):
        do(handovers.offer, alice, account.id, to_user_id=sam.user_id)
