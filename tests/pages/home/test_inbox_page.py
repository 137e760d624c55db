"""The inbox, and mail from a record: per role, empty, with harmful names, bad input, twice clicked."""

from crm_core import records
from crm_core.models import Interaction
from crm_core.services.customers import contacts
from crm_core.services.inbox import arrivals, correspondence
from crm_core.services.routing import rules
from crm_core.vocabulary import RouteMethod
from tests.crm_core.services.inbox.post import box, letter, take
from tests.crm_core.services.inbox.test_correspondence import all_of
from tests.pages.app import open_screen, words
from tests.pages.sales.test_sales_pages import EVIL
from tests.verbs import do, look
from ui.navigation import screen_of, screens_for


def test_who_has_the_inbox_and_what_an_empty_one_says(cast):
    assert {name for name, actor in cast.items() if screen_of("inbox") not in screens_for(actor)} == {"ana"}
    app = open_screen(cast["alice"], "inbox")
    assert not app.exception and "Nothing waits" in words(app)
    app.button(key="log_inbound").click().run()
    assert not app.exception and app.text_area(key="in_text_0").value == ""
    app = open_screen(cast["sam"], "inbox")
    app.button(key="log_inbound").click().run()
    assert app.button_group(key="in_take_ticket_0_False").value == "Me", "without rules nobody else would get it"
    given = {"name": "All", "method": RouteMethod.TURNS, "entity": "ticket", "people": [(cast["root"].user_id, 1)]}
    do(rules.save, cast["root"], None, **given)
    app = open_screen(cast["sam"], "inbox")
    app.button(key="log_inbound").click().run()
    assert app.button_group(key="in_take_ticket_0_True").value == "By the rules"
    for entity, expected in (("deal", None), ("lead", "By the rules")):
        do(rules.save, cast["root"], None, **{**given, "entity": entity, "name": entity})
        app = open_screen(cast["alice"], "inbox")
        app.button(key="log_inbound").click().run()
        assert app.button_group(key="in_into_0").value == "lead"
        assert [one.value for one in app.button_group if str(one.key).startswith("in_take_")] == ([expected] if expected else [])


def test_a_rep_writes_from_a_contact_reads_the_answer_and_puts_it_aside(cast):
    alice, mailbox = cast["alice"], box(cast["root"], plus_address=True)
    account = do(records.create, alice, "account", {"name": EVIL[:200]})
    ida = do(contacts.create, alice, {"name": EVIL[:200], "email": "ida@customer.example", "account_id": account.id})
    app = open_screen(alice, "contact", id=ida.id)
    app.button(key="write_first").click().run()
    assert not app.exception and app.multiselect(key=f"letter_contact_{ida.id}_0_to_0_").value == ["ida@customer.example"]
    do(correspondence.send, alice, "contact", ida.id, to="ida@customer.example", subject=EVIL.replace("\n", " "), text=EVIL)
    take(mailbox, letter(EVIL, subject=EVIL.replace("\n", " "), In_Reply_To=all_of(Interaction)[0].message_id))
    app = open_screen(alice, "contact", id=ida.id)
    assert not app.exception and "waits for an answer" in words(app) and "waiting to be sent" in words(app)
    assert not open_screen(alice, "inbox").exception
    app.button(key=f"aside_{all_of(Interaction)[-1].id}").click().run()
    assert not app.exception and look(arrivals.count, alice) == 0
    app.button(key="aside_undo").click().run()
    assert look(arrivals.count, alice) == 1
