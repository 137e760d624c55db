"""Macros do all their steps or none and are taken back whole; two tickets become one and two again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from crm_core import lists
from crm_core.errors import Conflict, Invalid, NotFound, NotPermitted
from crm_core.kit import clock
from crm_core.lists import ListQuery
from crm_core.services import bulk
from crm_core.services.analytics import agent_quality, metrics
from crm_core.services.collaboration import activities, files, following
from crm_core.services.customers import accounts, contacts
from crm_core.services.helpdesk import article_uses, articles, macros, merging, tickets
from crm_core.services.helpdesk.article_uses import Figures
from crm_core.services.sales import leads
from crm_core.vocabulary import ActivityKind, PeriodPreset, TicketKind
from tests.pages.app import open_screen, rare
from tests.verbs import do, look

STEPS = [
    {"do": "note", "text": "Asked {{name|the customer}} of {{company|nowhere}}"},
    {"do": "set", "field": "urgency", "value": "high"},
    {"do": "set", "field": "owner_id", "value": "me"},
    {"do": "answer", "text": "Hello {{first_name|}},\n\nsee {{number}}. {{agent}}"},
    {"do": "status", "value": "waiting_third"},
]


@pytest.fixture
def macro(cast):
    return do(macros.save, cast["sam"], None, {"name": "Ask", "shared": True, "steps": STEPS})


def test_a_macro_does_its_steps_on_one_ticket_and_is_taken_back_whole(cast, macro):
    sam = cast["sam"]
    account = do(leads.accounts.create, cast["alice"], {"name": "Alfreds"})
    person = do(contacts.create, sam, {"name": "Dr. Maria Anders", "account_id": account.id})
    ticket = do(tickets.create, sam, {"subject": "Broken", "contact_id": person.id, "owner_id": None}, message="It is")
    shown = dict(look(macros.words_of, sam, macro.steps, ticket.id))
    assert shown["Answer"] == f"Hello Maria,\n\nsee {ticket.number}. Sam Agent" and shown["Assigned to"] == "Whoever uses the macro"
    outcome = do(bulk.use_macro, sam, macro.id, {ticket.id: ticket.version})
    after, said = look(tickets.get, sam, ticket.id), look(tickets.messages, sam, ticket.id)
    assert (after.status, after.urgency.value, after.priority.value, after.owner_id) == (
        TicketKind.WAITING_THIRD,
        "high",
        "high",
        sam.user_id,
    )
    assert [message.body for message in said][1:] == [
        "Asked Dr. Maria Anders of Alfreds",
        f"Hello Maria,\n\nsee {ticket.number}. Sam Agent",
    ]
    assert after.first_response_at is not None and look(macros.usable, sam)[0].used_count == 1
    do(bulk.undo, sam, outcome.operation_id)
    back = look(tickets.get, sam, ticket.id)
    assert (back.status, back.urgency.value, back.priority.value, back.owner_id, back.first_response_at) == (
        TicketKind.NEW,
        "medium",
        "normal",
        None,
        None,
    )
    assert len(look(tickets.messages, sam, ticket.id)) == 1


def test_a_macro_gives_a_task_by_working_days_which_goes_with_it(cast):
    sam = cast["sam"]
    made = do(macros.save, sam, None, {"name": "Call", "steps": [{"do": "task", "subject": "Call about {{number}}", "days": 2}]})
    ticket = do(tickets.create, sam, {"subject": "Broken"})
    with clock.frozen(datetime(2026, 6, 5, 9, tzinfo=UTC)):  # a Friday
        shown = dict(look(macros.words_of, sam, made.steps, ticket.id))["Task"]
        outcome = do(bulk.use_macro, sam, made.id, {ticket.id: ticket.version})
    (task,) = look(lists.find, sam, "task", ListQuery()).rows
    assert (task["subject"], task["due_at"].date().isoformat()) == (f"Call about {ticket.number}", "2026-06-09")
    assert shown.startswith(f"“Call about {ticket.number}” · Whoever uses the macro · due ") and "9" in shown
    with clock.frozen(datetime(2026, 6, 5, 10, tzinfo=UTC)):
        assert not do(bulk.undo, sam, outcome.operation_id).refused
    assert look(lists.find, sam, "task", ListQuery()).rows == []


def test_a_macro_puts_nothing_into_its_words_that_the_role_of_its_user_hides(cast):
    fields = ("first_name", "name", "company", "number", "subject")
    text = " ".join(f"{{{{{key}|no {key}}}}}" for key in fields)
    steps = [{"do": "answer", "text": text}, {"do": "note", "text": f"Note {text}"}, {"do": "task", "subject": f"Task {text}"}]
    with_names = do(macros.save, cast["sam"], None, {"name": "All", "steps": steps})
    account = do(accounts.create, cast["root"], {"name": "Alfreds"})
    contact = do(contacts.create, cast["root"], {"name": "Maria Anders", "account_id": account.id})
    ticket = do(tickets.create, cast["root"], {"subject": "For Maria", "contact_id": contact.id, "account_id": account.id})
    masks = frozenset({("contact", "name"), ("account", "name"), ("ticket", "number")})
    empty = " ".join(f"no {key}" for key in fields)
    for blind in (replace(cast["sam"], masks=masks), replace(cast["sam"], masks=masks | {("ticket", "subject")}, veils=masks)):
        assert look(macros.answer_for, blind, with_names.id, ticket.id) == empty
        shown = look(macros.words_of, blind, with_names.steps, ticket.id)
        assert [empty in words for _what, words in shown] == [True] * 3
    do(bulk.use_macro, replace(cast["sam"], masks=masks), with_names.id, {ticket.id: ticket.version})
    bodies = [message.body for message in look(tickets.messages, cast["root"], ticket.id)]
    tasks = [row["subject"] for row in look(lists.find, cast["root"], "task", ListQuery()).rows]
    assert {f"Note {empty}", empty} <= set(bodies) and tasks == [f"Task {empty}"]
    assert look(macros.answer_for, cast["sam"], with_names.id, ticket.id) == f"Maria Maria Anders Alfreds {ticket.number} For Maria"


def test_a_macro_on_many_leaves_alone_what_others_changed_and_what_has_gone_on_since(cast, macro):
    sam = cast["sam"]
    made = [do(tickets.create, sam, {"subject": f"T{n}"}) for n in range(3)]
    versions = {ticket.id: ticket.version for ticket in made}
    do(tickets.update, sam, made[0].id, {"subject": "changed"})
    outcome = do(bulk.use_macro, sam, macro.id, versions)
    assert outcome.done == 2 and len(outcome.refused) == 1
    do(tickets.update, sam, made[1].id, {"subject": "worked on"})
    back = do(bulk.undo, sam, outcome.operation_id)
    assert back.done == 1 and "since" in back.refused[0][1]


def test_a_macro_on_a_solved_ticket_that_would_answer_is_refused_as_a_whole(cast, macro):
    ticket = do(tickets.create, cast["sam"], {"subject": "x"})
    do(tickets.solve, cast["sam"], ticket.id)
    outcome = do(bulk.use_macro, cast["sam"], macro.id, {ticket.id: look(tickets.get, cast["sam"], ticket.id).version})
    assert outcome.done == 0 and "Re-open it first" in outcome.refused[0][1]
    assert look(tickets.messages, cast["sam"], ticket.id) == []


def test_whose_macros_may_be_used_and_changed(cast, macro):
    bob, sam, root = cast["bob"], cast["sam"], cast["root"]
    own = do(macros.save, sam, None, {"name": "Mine", "steps": [{"do": "note", "text": "x"}]})
    assert [one.name for one in look(macros.usable, bob)] == ["Ask"]
    with pytest.raises(NotFound):
        do(macros.save, bob, own.id, {"name": "y"})
    do(macros.save, bob, macro.id, {"name": "Ask again"})
    theirs = do(macros.save, root, None, {"name": "Root's", "shared": True, "steps": [{"do": "note", "text": "x"}]})
    with pytest.raises(NotPermitted):
        do(macros.save, sam, theirs.id, {"name": "y"})
    with pytest.raises(NotPermitted):
        do(macros.remove, sam, theirs.id)
    for who in ("alice", "dana", "ana"):
        with pytest.raises(NotPermitted):
            look(macros.usable, cast[who])
    do(macros.remove, sam, own.id)
    with pytest.raises(NotFound):
        do(macros.remove, sam, own.id)


@pytest.mark.parametrize(
    ("steps", "where"),
    [
        ([], "steps"),
        ([{"do": "dance"}], "steps"),
        ([{"do": "answer", "text": "{{nope}}"}], "answer"),
        ([{"do": "answer", "text": "{{First Name}}"}], "answer"),
        ([{"do": "task", "subject": "Call {{nope}}"}], "task"),
        ([{"do": "task", "subject": "Call", "who": 9999}], "task"),
        ([{"do": "task", "subject": "Call", "days": 400}], "task"),
        ([{"do": "status", "value": "new"}], "status"),
        ([{"do": "set", "field": "number", "value": "1"}], "set"),
        ([{"do": "set", "field": "urgency", "value": "enormous"}], "set"),
        ([{"do": "set", "field": "owner_id", "value": 9999}], "set"),
        ([{"do": "answer", "text": "a"}, {"do": "answer", "text": "b"}], "steps"),
        ([{"do": "note", "text": str(n)} for n in range(13)], "steps"),
    ],
)
def test_what_is_wrong_with_a_macro_is_said_when_it_is_saved(cast, steps, where):
    with pytest.raises(Invalid) as caught:
        do(macros.save, cast["sam"], None, {"name": "x", "steps": steps})
    assert where in caught.value.fields


def test_macros_stand_in_the_order_that_somebody_gave_them(cast):
    sam, bob, root = cast["sam"], cast["bob"], cast["root"]

    def make(actor, name, shared=True):
        return do(macros.save, actor, None, {"name": name, "shared": shared, "steps": [{"do": "note", "text": "x"}]}).id

    def names(actor=sam):
        return [one.name for one in look(macros.usable, actor)]

    mine, ids = make(sam, "Mine", False), [make(sam, name) for name in ("C", "B", "A")]
    second = make(sam, "My other", False)
    assert names() == ["C", "B", "A", "Mine", "My other"], "new ones come last, one's own after everybody's"
    version = look(macros.get, sam, ids[2]).version
    do(macros.move, root, ids[2], up=True), do(macros.move, root, ids[2], up=True), do(macros.move, root, ids[2], up=True)
    do(macros.move, sam, second, up=True), do(macros.move, sam, mine, up=False)
    assert names() == ["A", "C", "B", "My other", "Mine"] and names(bob) == ["A", "C", "B"]
    assert look(macros.get, sam, ids[2]).version == version, "who changes its words meanwhile is not in the way"
    with pytest.raises(NotPermitted, match="runs the service team"):
        do(macros.move, sam, ids[0], up=True)
    with pytest.raises(NotFound):
        do(macros.move, root, mine, up=True)


def test_two_tickets_become_one_and_two_again(any_cast):
    sam = any_cast["sam"]
    person = do(contacts.create, sam, {"name": "Ida"})
    old = do(tickets.create, sam, {"subject": "Same", "contact_id": person.id}, message="first words")
    new = do(tickets.create, sam, {"subject": "The same again"}, message="second words")
    do(files.attach, sam, "ticket", old.id, name="a.txt", content=b"a")
    do(activities.log, sam, "ticket", old.id, kind=ActivityKind.CALL, text="called")
    do(following.follow, any_cast["root"], "ticket", old.id)
    do(merging.merge, sam, old.id, new.id)
    assert look(following.is_on, any_cast["root"], "ticket", new.id)
    assert [message.body for message in look(tickets.messages, sam, new.id)] == ["first words", "second words"]
    gone, stays = look(tickets.get, sam, old.id), look(tickets.get, sam, new.id)
    assert (gone.status, gone.merged_into_id, stays.contact_id) == (TicketKind.CLOSED, new.id, person.id)
    assert len(look(files.find, sam, "ticket", new.id)) == 1 and look(files.find, sam, "ticket", old.id) == []
    do(tickets.reply, sam, new.id, "to both")
    ((merge_id, number, _),) = look(merging.of, sam, new.id)
    assert number == old.number
    do(merging.undo, sam, merge_id)
    assert not look(following.is_on, any_cast["root"], "ticket", new.id)
    assert [message.body for message in look(tickets.messages, sam, old.id)] == ["first words"]
    assert [message.body for message in look(tickets.messages, sam, new.id)] == ["second words", "to both"]
    back = look(tickets.get, sam, old.id)
    assert (back.status, back.merged_into_id, look(tickets.get, sam, new.id).contact_id) == (TicketKind.NEW, None, None)
    with pytest.raises(Conflict):
        do(merging.undo, sam, merge_id)


def test_a_merged_ticket_counts_as_solved_nowhere_and_gets_its_first_solution_back(any_cast):
    sam, root, begin = any_cast["sam"], any_cast["root"], clock.utcnow()
    with clock.frozen(begin):
        old, new = (do(tickets.create, sam, {"subject": subject}, message="words") for subject in ("Lamp", "Lamp again"))
        do(tickets.solve, sam, old.id)
    with clock.frozen(begin + timedelta(minutes=5)):
        do(tickets.receive, sam, old.id, "It broke again")
        do(merging.merge, sam, old.id, new.id)
    with clock.frozen(begin + timedelta(minutes=9)):
        do(tickets.solve, sam, new.id)
        chosen = look(metrics.select, root, PeriodPreset.DAYS_30)
        found = look(agent_quality.table, root, chosen)
        assert found.everybody.solved == 1 and look(metrics.figure, root, "resolution", chosen).value == 9 * 60
        assert [row["id"] for row in look(lists.find, root, "ticket", ListQuery(filter=found.everybody.filter)).rows] == [new.id]
        ((merge_id, _, _),) = look(merging.of, sam, new.id)
        do(merging.undo, sam, merge_id)
    assert look(tickets.get, sam, old.id).first_solved_at == begin


def test_taking_a_merge_apart_keeps_the_customer_that_somebody_wrote_since(cast):
    root, sam = cast["root"], cast["sam"]
    ida, bo = (do(contacts.create, sam, {"name": name}) for name in ("Ida", "Bo"))
    old = do(tickets.create, sam, {"subject": "Same", "contact_id": ida.id}, message="words")
    new = do(tickets.create, sam, {"subject": "Again"})
    do(merging.merge, sam, old.id, new.id)
    do(tickets.update, root, new.id, {"contact_id": bo.id})
    ((merge_id, _, _),) = look(merging.of, root, new.id)
    do(merging.undo, root, merge_id)
    assert look(tickets.get, sam, new.id).contact_id == bo.id
    assert [message.body for message in look(tickets.messages, sam, old.id)] == ["words"]


def test_of_merges_one_after_another_the_last_is_taken_apart_first(cast):
    sam = cast["sam"]
    one, two, three = (do(tickets.create, sam, {"subject": name}, message=name) for name in ("one", "two", "three"))
    do(merging.merge, sam, one.id, two.id)
    do(merging.merge, sam, two.id, three.id)
    ((first, _, _),), ((last, _, _),) = (look(merging.of, sam, ticket.id) for ticket in (two, three))
    with pytest.raises(Conflict, match=f"{two.number} was merged into another"):
        do(merging.undo, sam, first)
    do(merging.undo, sam, last)
    do(merging.undo, sam, first)
    for ticket in (one, two, three):
        assert [message.body for message in look(tickets.messages, sam, ticket.id)] == [ticket.subject]


def test_a_merged_ticket_is_not_opened_beside_the_one_that_it_became(cast):
    sam = cast["sam"]
    old, new = (do(tickets.create, sam, {"subject": name}) for name in ("Same", "Again"))
    do(merging.merge, sam, old.id, new.id)
    for verb, *args in (
        (tickets.reopen,),
        (tickets.move, TicketKind.OPEN),
        (tickets.update, {"status": "open"}),
        (tickets.receive, "?"),
    ):
        with pytest.raises(Conflict, match="Go on there"):
            do(verb, sam, old.id, *args)
    page = open_screen(sam, "ticket", id=old.id)
    assert not page.exception and "reopen" not in rare(page) and "merge" not in rare(page)
    assert {"reopen", "merge"} & rare(open_screen(sam, "ticket", id=new.id)) == {"merge"}


def test_an_article_in_an_answer_that_came_along_counts_on_the_new_ticket(cast):
    sam = cast["sam"]
    article = do(articles.create, sam, {"title": "A", "summary": "Hold the button for long.", "state": "published"})
    old, new = (do(tickets.create, sam, {"subject": name}) for name in ("Same", "Again"))
    for verb in (tickets.solve, tickets.reopen):
        do(verb, sam, new.id)
    do(tickets.reply, sam, old.id, article.summary, articles=[article.id])
    do(merging.merge, sam, old.id, new.id)
    do(tickets.solve, sam, new.id)
    assert look(article_uses.figures, sam, [article.id])[article.id] == Figures(used=1, solved=1)
    ((merge_id, _, _),) = look(merging.of, sam, new.id)
    do(merging.undo, sam, merge_id)
    do(tickets.solve, sam, old.id)
    assert look(article_uses.figures, sam, [article.id])[article.id] == Figures(used=1, solved=1), "and on its own again"


def test_a_ticket_goes_to_another_customer_only_when_somebody_says_so(cast):
    sam = cast["sam"]
    ida, bo = (do(contacts.create, sam, {"name": name}) for name in ("Ida", "Bo"))
    one, other = (do(tickets.create, sam, {"subject": "Leak", "contact_id": who.id}, message="words") for who in (ida, bo))
    seen = look(merging.ahead, sam, one.id, other.id)
    assert (seen.number, seen.customer, seen.another, seen.problem) == (other.number, "Bo", True, "")
    with pytest.raises(Invalid, match="another customer"):
        do(merging.merge, sam, one.id, other.id)
    assert len(look(tickets.messages, sam, other.id)) == 1
    do(merging.merge, sam, one.id, other.id, another_customer=True)
    assert len(look(tickets.messages, sam, other.id)) == 2


def test_two_people_of_one_company_are_one_customer(cast):
    root, sam = cast["root"], cast["sam"]
    house = do(accounts.create, root, {"name": "House"})
    people = [do(contacts.create, root, {"name": name, "account_id": house.id}) for name in ("Ida", "Bo")]
    one, other = (do(tickets.create, sam, {"subject": "Leak", "contact_id": who.id, "account_id": house.id}) for who in people)
    assert not look(merging.ahead, sam, one.id, other.id).another


def test_a_ticket_that_waits_does_not_vanish_in_a_solved_one(cast):
    sam = cast["sam"]
    waits, done = (do(tickets.create, sam, {"subject": name}, message="words") for name in ("Waits", "Done"))
    do(tickets.solve, sam, done.id)
    assert "Re-open it first" in look(merging.ahead, sam, waits.id, done.id).problem
    with pytest.raises(Conflict, match="Re-open it first"):
        do(merging.merge, sam, waits.id, done.id)
    do(merging.merge, sam, done.id, waits.id)


def test_what_can_not_be_merged(cast):
    sam = cast["sam"]
    a, b, c = (do(tickets.create, sam, {"subject": name}) for name in "abc")
    with pytest.raises(Invalid):
        do(merging.merge, sam, a.id, a.id)
    with pytest.raises(Conflict):
        do(merging.merge, sam, a.id, b.id, base_version=99)
    do(merging.merge, sam, a.id, b.id)
    with pytest.raises(Conflict):
        do(merging.merge, sam, a.id, c.id)
    with pytest.raises(Conflict):
        do(merging.merge, sam, c.id, a.id)
    with pytest.raises(NotPermitted):
        do(merging.merge, cast["alice"], c.id, b.id)
    with pytest.raises(NotFound):
        do(merging.undo, sam, 999)
