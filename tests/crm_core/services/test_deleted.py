"""The bin: what lies in it for whom, who put it there, and how it comes back."""

import pytest
from sqlmodel import select

from crm_core import lists
from crm_core.entities import RECORDS
from crm_core.errors import Conflict, Invalid, NotFound, NotPermitted
from crm_core.models import SlaClock
from crm_core.services import bulk, crud, deleted
from crm_core.services.helpdesk import tickets
from crm_core.services.marketing import segments
from crm_core.services.sales import leads
from tests.verbs import do, look


def binned(actor, kind, **asked):
    return look(deleted.find, actor, kind, **asked)


def test_each_kind_goes_and_comes_back_with_who_and_when(any_cast):
    """What a kind needs to be made is little; what it looks like in the bin is the same for all."""
    root = any_cast["root"]
    account = do(crud.create, root, "account", {"name": "Acme"})
    values = {
        "contact": {"name": "Ida"}, "lead": {"name": "Leo"}, "deal": {"name": "Big one"}, "product": {"name": "Pump"},
        "order": {"number": "A-1", "ordered_at": "2026-01-02T10:00:00Z"}, "ticket": {"subject": "Broken"}, "campaign": {"name": "Spring"},
        "promotion": {"name": "Ten off", "effect": "percent", "percent_off": 10, "code": "TEN10"},
        "article": {"title": "How to", "body": "So."}, "task": {"subject": "Call"}, "activity": {"subject": "Met", "kind": "note", "at": "2026-01-02T10:00:00Z"},
    }  # fmt: skip
    made = {"account": account.id, **{kind: do(crud.create, root, kind, given).id for kind, given in values.items()}}
    made["segment"] = do(segments.create, root, name="All", entity="contact", rule={"op": "and", "items": []})
    assert set(made) == set(RECORDS)
    for kind, record_id in made.items():
        assert binned(root, kind).total == 0
        do(crud.archive, root, kind, record_id)
        page = binned(root, kind)
        row = page.rows[0]
        assert (page.total, row["id"], row["deleted_by"], row["mine"]) == (1, record_id, "Root", True), kind
        assert look(deleted.get, root, kind, record_id).at == row["deleted_at"]
    assert look(deleted.kinds, root) == dict.fromkeys(RECORDS, 1)
    for kind, record_id in made.items():
        back, outcome = do(deleted.restore, root, kind, [record_id])
        assert list(back) == [record_id] and not outcome.refused, outcome
    assert set(look(deleted.kinds, root).values()) == {0}
    with pytest.raises(NotFound, match="not in the bin any more"):
        look(deleted.get, root, "account", account.id)


def test_the_bin_is_searched_and_leafed_through_the_last_one_first(cast):
    root = cast["root"]
    ids = [do(crud.create, root, "deal", {"name": f"Deal {name}"}).id for name in ("north", "south", "east")]
    do(crud.create, root, "deal", {"name": "Deal north, still here"})
    for record_id in ids:
        do(crud.archive, root, "deal", record_id)
    assert [row["id"] for row in binned(root, "deal").rows] == ids[::-1]
    assert [row["id"] for row in binned(root, "deal", q="north").rows] == ids[:1]
    second = binned(root, "deal", page=2, size=2)
    assert [row["id"] for row in second.rows] == ids[:1] and second.pages == 2


def test_nobody_sees_or_takes_back_more_than_their_role_reaches(cast):
    alice, bob, charlie, sam, root = (cast[who] for who in ("alice", "bob", "charlie", "sam", "root"))
    hers, his = (do(crud.create, who, "deal", {"name": who.name}).id for who in (alice, charlie))
    for record_id in (hers, his):
        do(crud.archive, root, "deal", record_id)
    assert [row["id"] for row in binned(alice, "deal").rows] == [hers]
    assert [row["id"] for row in binned(bob, "deal").rows] == [hers], "those of everyone below"
    back, outcome = do(deleted.restore, alice, "deal", [hers, his])
    assert list(back) == [hers] and "not shared with you" in outcome.refused[0][1] and outcome.refused[0][0] == f"No. {his}"
    with pytest.raises(NotFound):
        look(deleted.get, alice, "deal", his)
    with pytest.raises(NotPermitted):
        binned(sam, "deal")
    with pytest.raises(NotPermitted):
        do(deleted.restore, alice, "account", [1])
    with pytest.raises(NotFound):
        binned(root, "user")
    with pytest.raises(Invalid):
        do(deleted.restore, root, "deal", [])
    account = do(crud.create, charlie, "account", {"name": "Of Charlie"})
    do(crud.archive, root, "account", account.id)
    row = binned(bob, "account").rows[0]
    assert row["name"] == "Of Charlie" and not row["mine"]
    assert "only who may delete it" in do(deleted.restore, bob, "account", [account.id])[1].refused[0][1]
    assert set(look(deleted.kinds, sam)) == {"article", "activity", "task"}


def test_who_opens_what_was_deleted_is_told_where_it_lies(cast):
    alice, charlie = cast["alice"], cast["charlie"]
    deal = do(crud.create, alice, "deal", {"name": "Gone"})
    do(crud.archive, alice, "deal", deal.id)
    for verb in (
        lambda: look(crud.records.get, alice, "deal", deal.id),
        lambda: do(crud.update, alice, "deal", deal.id, {"name": "x"}),
    ):
        with pytest.raises(NotFound, match="in the bin"):
            verb()
    with pytest.raises(NotFound, match="not shared with you"):
        look(crud.records.get, charlie, "deal", deal.id)


def test_names_that_a_role_hides_stay_hidden_in_the_bin(cast):
    """The analyst reads with masks; here with the right to delete as well."""
    from crm_core.access import load
    from crm_core.db import write_session
    from crm_core.models import Role, RolePermission
    from crm_core.vocabulary import Action, Scope

    contact = do(crud.create, cast["root"], "contact", {"name": "Secret Person", "email": "s@example.com"})
    do(crud.archive, cast["root"], "contact", contact.id)
    with write_session() as session:
        role = session.exec(select(Role).where(Role.key == "analyst")).one()
        session.add(RolePermission(role_id=role.id, entity="contact", action=Action.DELETE, scope=Scope.ALL))
        session.flush()
        ana = load(session, cast["ana"].user_id)
    row = binned(ana, "contact").rows[0]
    assert row["name"] == lists.MASK and look(deleted.get, ana, "contact", contact.id).title == f"Contact {contact.id}"
    assert binned(ana, "contact", q="secret").total == 0
    assert do(deleted.restore, ana, "contact", [contact.id])[0] == {contact.id: f"Contact {contact.id}"}


def test_what_a_conversion_made_stays_when_that_was_taken_back_and_the_lead_is_there(cast):
    root = cast["root"]
    lead = do(leads.create, root, {"name": "Leo", "company": "Leo Ltd"})
    made = do(leads.convert, root, lead.id, deal_name="First")
    do(leads.undo_conversion, root, lead.id)
    for kind, record_id in (("contact", made.contact_id), ("account", made.account_id), ("deal", made.deal_id)):
        assert "Convert the lead again" in do(deleted.restore, root, kind, [record_id])[1].refused[0][1]
    with pytest.raises(Conflict):
        do(crud.restore, root, "deal", made.deal_id)
    do(crud.archive, root, "lead", lead.id)
    assert list(do(deleted.restore, root, "contact", [made.contact_id])[0]) == [made.contact_id], (
        "without the lead it is all there is"
    )


def test_a_ticket_comes_back_with_its_promises(cast):
    from crm_core.db import read_session

    root = cast["root"]
    ticket = do(tickets.create, root, {"subject": "Broken"})
    do(crud.archive, root, "ticket", ticket.id)
    do(deleted.restore, root, "ticket", [ticket.id])
    with read_session() as session:
        assert tickets.get(session, root, ticket.id).deleted_at is None
        assert session.exec(select(SlaClock)).first() is None, "nothing was promised"


def test_undoing_a_bulk_deletion_still_works(cast):
    alice = cast["alice"]
    deal = do(crud.create, alice, "deal", {"name": "One of many"})
    outcome = do(bulk.archive, alice, "deal", {deal.id: deal.version})
    assert binned(alice, "deal").total == 1
    assert do(bulk.undo, alice, outcome.operation_id).done == 1 and binned(alice, "deal").total == 0
