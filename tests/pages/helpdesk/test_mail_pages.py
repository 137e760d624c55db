"""The mail screens: mailboxes, tray, macros, and answering by mail; per role, empty, with harmful text."""

import pytest

from crm_core.services import bulk
from crm_core.services.helpdesk import answers, article_uses, articles, macros, tickets
from crm_core.services.inbox import tray
from crm_core.vocabulary import MessageDirection, TicketKind
from tests.crm_core.services.inbox.post import box, letter, take
from tests.pages.app import open_screen, words
from tests.pages.sales.test_sales_pages import EVIL
from tests.verbs import do, look
from ui.navigation import screen_of, screens_for


@pytest.mark.parametrize(
    ("url", "who"), [("mailboxes", {"root"}), ("tray", {"root", "bob", "sam"}), ("macros", {"root", "bob", "sam"})]
)
def test_who_has_the_mail_screens_and_what_an_empty_one_says(cast, url, who):
    assert {name for name, actor in cast.items() if screen_of(url) in screens_for(actor)} == who
    app = open_screen(cast["root"], url)
    assert not app.exception and not app.error
    assert {"mailboxes": "No mailboxes yet", "tray": "No mail came in yet", "macros": "No macros yet"}[url] in words(app)


def test_mail_of_a_stranger_is_shown_and_settled_without_doing_harm(cast):
    sam, mailbox = cast["sam"], box(cast["root"], unknown="tray", name=EVIL[:60])
    taken = take(mailbox, letter(EVIL, subject=EVIL.replace("\n", " "), sender="Evil <e@x.example>", html=f"<p>{EVIL}</p>"))
    app = open_screen(cast["root"], "mailboxes")
    assert not app.exception and not app.error
    app = open_screen(sam, "tray", mail=taken.id)
    assert not app.exception and not app.error and "In the tray" in words(app)
    app.button(key=f"tray_drop_{taken.id}").click().run()
    assert not app.exception and look(tray.count, sam) == 0
    app.button(key="tray_undo").click().run()
    assert not app.exception and look(tray.count, sam) == 1


def test_an_agent_answers_by_mail_and_takes_it_back(cast):
    sam, mailbox = cast["sam"], box(cast["root"])
    take(mailbox, letter())
    app = open_screen(sam, "ticket", id=1)
    assert not app.exception and not app.error
    assert app.text_input(key="reply_1_to_0").value == "ida@customer.example"
    app.text_input(key="reply_1_cc_0").set_value("nonsense")
    app.text_area(key="reply_1_text_0").set_value("We look into it")
    app.button(key="reply_1_send").click().run()
    assert "is not an e-mail address" in words(app) and app.text_area(key="reply_1_text_0").value == "We look into it"
    made = do(articles.create, sam, {"title": "Later", "summary": "We look into it", "state": "published"})
    app.session_state["_articles_reply_1_text_0"] = [made.id]
    app.text_input(key="reply_1_cc_0").set_value("boss@customer.example")
    app.button(key="reply_1_send").click().run()
    assert not app.exception
    (_, answer) = look(tickets.messages, sam, 1)
    assert (
        answer.direction is MessageDirection.OUTBOUND
        and answer.mail["cc"] == ["boss@customer.example"]
        and len(answer.mail["deliveries"]) == 2
    )
    app.button(key="answer_undo").click().run()
    assert not app.exception and len(look(tickets.messages, sam, 1)) == 1
    assert app.text_area(key="reply_1_text_1").value == "We look into it"
    assert look(tickets.get, sam, 1).status is TicketKind.NEW
    assert app.session_state["_articles_reply_1_text_1"] == [made.id] and "_articles_reply_1_text_0" not in app.session_state
    app.button(key="reply_1_send").click().run()
    assert look(article_uses.figures, sam, [made.id])[made.id].used == 1, "sent again, the article still counts"


def test_a_macro_is_used_from_the_ticket_and_taken_back(cast):
    sam = cast["sam"]
    do(
        macros.save,
        sam,
        None,
        {
            "name": "Ask " + EVIL[:40],
            "shared": True,
            "steps": [{"do": "answer", "text": "Hello {{first_name|there}} " + EVIL}, {"do": "status", "value": "solved"}],
        },
    )
    made = do(tickets.create, sam, {"subject": "Broken"}, message="It is")
    app = open_screen(sam, "macros")
    assert not app.exception and not app.error
    app = open_screen(sam, "ticket", id=made.id)
    app.button(key="macro").click().run()
    assert not app.exception and "Hello there" in words(app) and "Solved" in words(app)
    done = do(bulk.use_macro, sam, look(macros.usable, sam)[0].id, {made.id: made.version})
    app.session_state["_macro_done"] = ([made.id], done, "Ask")
    app.run()
    app.button(key="macro_undo").click().run()
    assert not app.exception and look(tickets.get, sam, made.id).status is TicketKind.NEW


def test_whoever_runs_the_team_puts_macros_in_order_and_an_agent_only_their_own(cast):
    sam, root = cast["sam"], cast["root"]
    first, second = (
        do(macros.save, sam, None, {"name": name, "steps": [{"do": "note", "text": "x"}], "shared": True}).id for name in "AB"
    )
    app = open_screen(sam, "macros")
    assert not app.exception and not [button for button in app.button if button.key in (f"up_{second}", f"down_{first}")]
    app = open_screen(root, "macros")
    assert app.button(key=f"up_{first}").disabled and app.button(key=f"down_{second}").disabled
    app.button(key=f"up_{second}").click().run()
    assert not app.exception and [one.name for one in look(macros.usable, sam)] == ["B", "A"]
    app = open_screen(sam, "ticket", id=do(tickets.create, sam, {"subject": "Broken"}).id)
    app.button(key="macro").click().run()
    assert app.radio(key="macro_choice").options == ["B", "A"], "on a ticket they stand in this order too"


def test_the_form_of_a_mailbox_saves_and_never_shows_the_password(cast):
    root = cast["root"]
    made = box(root, source="imap", host="127.0.0.1", port=9, tls="none", username="u", secret="t0psecret")
    app = open_screen(root, "mailboxes")
    app.button(key=f"change_{made.id}").click().run()
    assert not app.exception
    assert app.text_input(key=f"mb_host_{made.id}_{made.version}").value == "127.0.0.1"
    assert app.text_input(key=f"mb_secret_{made.id}_{made.version}").value == "" and "t0psecret" not in str(app)
    assert look(answers.own_addresses) == {"support@example.com"}
