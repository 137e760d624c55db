"""The pages of help articles: per role, empty, from the first draft to an answer that holds one, and the help centre's settings."""

from sqlmodel import select

from crm_core import records
from crm_core.db import write_session
from crm_core.kit import clock
from crm_core.models import Role, RoleFieldMask
from crm_core.services.helpdesk import article_uses, articles, help_centre, tickets
from crm_core.services.telephony import menus
from crm_core.vocabulary import ArticleState
from tests.pages.app import open_screen, words
from tests.pages.sales.test_sales_pages import EVIL
from tests.verbs import do, look
from ui.navigation import screen_of, screens_for


def test_everybody_reads_and_agents_write_from_the_empty_page_on(cast):
    writers = {"root", "bob", "sam"}
    for who, actor in cast.items():
        assert screen_of("articles") in screens_for(actor)
        app = open_screen(actor, "articles")
        assert not app.exception and not app.error and "No help articles yet" in words(app)
        assert any(button.key == "first_article" for button in app.button) is (who in writers)
    app = open_screen(cast["sam"], "articles")
    app.button(key="first_article").click().run()
    assert not app.exception and any(field.label.startswith("Title") for field in app.text_input)
    made = do(articles.create, cast["sam"], {"title": EVIL[:200], "body": EVIL})
    for actor in cast.values():
        app = open_screen(actor, "article", id=made.id)
        assert not app.exception and not app.error
    app = open_screen(cast["sam"], "article", id=made.id)
    app.button(key="publish").click().run()
    assert "Write the short answer first" in app.toast[0].value
    do(articles.update, cast["sam"], made.id, {"summary": EVIL[:300]})
    app = open_screen(cast["sam"], "article", id=made.id)
    app.button(key="publish").click().run()
    assert not app.exception and look(articles.get, cast["sam"], made.id).state is ArticleState.PUBLISHED
    app = open_screen(cast["alice"], "article", id=made.id)
    assert not {"publish", "edit", "delete", "retire"} & {button.key for button in app.button}
    assert "does not exist" in words(open_screen(cast["alice"], "article", id=987_654))


def test_an_agent_answers_with_an_article_in_two_clicks(cast):
    sam = cast["sam"]
    made = do(
        articles.create, sam, {"title": "Reset the router", "summary": "Hold the button for ten seconds.", "state": "published"}
    )
    ticket = do(tickets.create, sam, {"subject": "Router needs a reset"}, message="It blinks")
    key = f"reply_{ticket.id}_text_0"
    app = open_screen(sam, "ticket", id=ticket.id)
    assert not any(button.key == f"link_{key}_{made.id}" for button in app.button), "there is no public page yet"
    do(help_centre.save, cast["bob"], {"is_on": True})
    app = open_screen(sam, "ticket", id=ticket.id)
    app.button(key=f"put_{key}_{made.id}").click().run()
    app.button(key=f"link_{key}_{made.id}").click().run()
    said = app.text_area(key=key).value
    assert said.startswith("Hold the button for ten seconds.") and "/help/reset-the-router" in said
    app.button(key=f"reply_{ticket.id}_send").click().run()
    assert not app.exception and look(article_uses.figures, sam, [made.id])[made.id].used == 1
    do(tickets.solve, sam, ticket.id)
    assert "Tickets solved" in [metric.label for metric in open_screen(cast["dana"], "article", id=made.id).metric]
    assert not open_screen(sam, "articles").exception


def test_the_help_centre_is_switched_on_by_who_may(cast):
    do(articles.create, cast["sam"], {"title": "x", "summary": "y", "state": "published"})
    app = open_screen(cast["sam"], "articles")
    app.button(key="help_centre").click().run()
    assert not app.exception and "Managers and administrators can change this" in words(app)
    app = open_screen(cast["bob"], "articles")
    app.button(key="help_centre").click().run()
    assert not app.exception
    assert app.toggle(key="hc_on_0").value is False
    app.toggle(key="hc_on_0").set_value(True)
    app.button(key="hc_save").click()
    app.button(key="help_centre").click().run()
    assert not app.exception and look(help_centre.get, cast["bob"]).is_on
    assert not any(button.key == "help_centre" for button in open_screen(cast["alice"], "articles").button)


def test_an_article_is_reviewed_and_gets_its_products(cast):
    sam = cast["sam"]
    made = do(articles.create, sam, {"title": "x", "summary": "y", "state": "published", "review_by": "2020-01-01"})
    mine, theirs = (do(records.create, cast["root"], "product", {"name": name}) for name in ("Router", "Cable"))
    app = open_screen(sam, "article", id=made.id)
    app.button(key="products_edit").click().run()
    picked = lambda: next(each for each in app.multiselect if str(each.key).startswith("article_products_"))  # noqa: E731
    do(articles.set_products, cast["bob"], made.id, [theirs.id])
    picked().set_value([mine.id])
    app.button(key="products_edit").click().run()
    assert not app.exception and picked().value == [theirs.id], "a choice that was left without saving is gone"
    app = open_screen(sam, "article", id=made.id)
    app.button(key="reviewed").click().run()
    assert not app.exception and look(articles.get, sam, made.id).review_by > clock.today()
    with write_session() as session:
        role_id = session.exec(select(Role.id).where(Role.key == "sales_rep")).one()
        for name in ("title", "review_by", "summary", "category", "reviewed_on"):
            session.add(RoleFieldMask(role_id=role_id, entity="article", field_key=name))
    app = open_screen(cast["alice"], "article", id=made.id)
    assert not app.exception and not app.error


def test_the_telephone_reads_an_article_in_the_browser_and_warns_when_it_is_gone(cast):
    root = cast["root"]
    made = do(articles.create, root, {"title": "Reset", "summary": "Hold it.", "state": "published", "language": "de"})
    menu = do(menus.save, root, None, {"name": "Main"})
    do(menus.set_node, root, menu.id, "main", {"kind": "article", "title": "Main", "article": made.id, "next": "help"})
    for key in ("back", "billing"):
        do(menus.set_node, root, menu.id, key, None)
    app = open_screen(root, "telephony")
    assert not app.exception and "written in German" in words(app) and app.button(key=f"publish_{menu.id}")
    app.button(key=f"steps_{menu.id}").click().run()
    assert not app.exception
    app = open_screen(root, "telephony")
    app.button(key=f"try_{menu.id}").click().run()
    assert not app.exception
    assert "telephone menu" in words(open_screen(cast["sam"], "article", id=made.id))
    do(articles.update, root, made.id, {"state": "archived"})
    app = open_screen(root, "telephony")
    assert "not published" in words(app) and not any(button.key == f"publish_{menu.id}" for button in app.button)
