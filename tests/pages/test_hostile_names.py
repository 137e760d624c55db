"""Names that mean harm, or are only unusual, are shown as what they are: on every screen, and in every export."""

import pytest

from crm_core.db import read_session, write_session
from crm_core.kit import clock
from crm_core.kit.csvio import harmless
from crm_core.models import CampaignMember, Macro, ProductCategory, TicketMessage, User
from crm_core.services import crud
from crm_core.services.collaboration import activities, tasks
from crm_core.services.customers import handovers
from crm_core.services.helpdesk import articles
from crm_core.vocabulary import ActivityKind, MessageDirection, Visibility
from tests.pages.app import open_screen, press, rare
from ui.navigation import PAGES

EVIL = (
    "![x](http://e/i.png) [l](javascript:1) <script>alert(1)</script> **b** `c` $x$ :red[y] :material/bug: -> مرحبا بالعالم 😀👩‍👩‍👧 "
    + "long " * 40
)
EVIL = EVIL[:300].strip()
KINDS = (
    "markdown", "caption", "button", "checkbox", "toggle", "metric", "title", "subheader", "header", "error", "warning", "info", "success",
    "expander", "tab", "radio", "multiselect", "text_input", "text_area", "number_input", "popover", "link_button", "page_link",
)  # fmt: skip
OPTIONS = ("radio", "button_group", "pills", "segmented_control")
RECORDS = ("deal", "account", "contact", "lead", "product", "order", "ticket", "campaign", "task")


@pytest.fixture
def hostile(cast):
    """One record of each kind, all named alike, related to each other; the people too."""
    root = cast["root"]
    made = {}
    with write_session() as session:
        for person in session.query(User):
            person.name = EVIL[:200]
        session.add(ProductCategory(name=EVIL))
    with write_session() as session:
        made["account"] = crud.create(session, root, "account", {"name": EVIL, "description": EVIL, "city": EVIL[:120]}).id
        both = {"account_id": made["account"]}
        wishes = {"goals": EVIL, "do_not": EVIL, "language": EVIL[:40], "preferred_hours": EVIL[:40]}
        made["contact"] = crud.create(session, root, "contact", {"name": EVIL, "job_title": EVIL, **wishes, **both}).id
        both["contact_id"] = made["contact"]
        made["campaign"] = crud.create(session, root, "campaign", {"name": EVIL}).id
        made["product"] = crud.create(session, root, "product", {"name": EVIL, "price_minor": 1}).id
        article = {"title": EVIL[:200], "summary": EVIL, "body": EVIL, "state": "published"}
        made["article"] = crud.create(session, root, "article", article).id
        articles.set_products(session, root, made["article"], [made["product"]])
        made["deal"] = crud.create(
            session, root, "deal", {"name": EVIL, "next_step": EVIL, "amount_minor": 5, "product_id": made["product"], **both}
        ).id
        made["lead"] = crud.create(session, root, "lead", {"name": EVIL, "company": EVIL, "job_title": EVIL}).id
        made["order"] = crud.create(session, root, "order", {"ordered_at": clock.utcnow(), **both}).id
        made["ticket"] = crud.create(session, root, "ticket", {"subject": EVIL, **both}).id
        session.add(
            TicketMessage(
                ticket_id=made["ticket"], direction=MessageDirection.INBOUND, body=EVIL, author_name=EVIL[:200], at=clock.utcnow()
            )
        )
        session.add(CampaignMember(campaign_id=made["campaign"], contact_id=made["contact"]))
        made["task"] = tasks.create(session, root, {"subject": EVIL, "body": EVIL, "deal_id": made["deal"]}).id
        for key in ("deal", "account", "contact", "lead", "ticket"):
            activities.log(session, root, key, made[key], kind=ActivityKind.CALL, text=EVIL, follow_up=EVIL)
        handovers.offer(session, root, made["account"], to_user_id=cast["sam"].user_id, note=EVIL, more=[EVIL[:200]])
    return cast, made


def readers(app):
    """Everything on the page that is read as Markdown."""
    for kind in KINDS:
        for element in app.get(kind):
            for name in ("label", "value", "body", "help"):
                text = getattr(element, name, None)
                if isinstance(text, str) and not (kind in ("text_input", "text_area") and name == "value"):
                    yield kind, text
    for kind in OPTIONS:  # of a list to choose from, what is read as Markdown are the choices
        for element in app.get(kind):
            yield from ((kind, text) for text in getattr(element, "options", ()))


def misread(app):
    """What would be drawn as something else than its letters: (kind of element, text)."""
    for kind, text in readers(app):
        seen = text.replace("\\\\", "").replace("\\<", "").replace("\\", "\x00")
        if any(sign in seen for sign in ("![x]", "](http", "](javascript", "<script", "**b**", ":red[y]", ":material/bug", " -> ")):
            yield kind, text[:90]


DIALOGS = {
    "ticket": ("merge", "macro", "edit", "delete"),
    "lead": ("convert", "disqualify", "edit", "delete"),
    "deal": ("win", "lose", "edit", "delete"),
    "account": ("edit", "delete", "handover"),
    "contact": ("edit", "delete"),
    "campaign": ("edit", "delete"),
}


def test_no_dialog_reads_a_name_as_anything_but_a_name(hostile):
    cast, made = hostile
    root = cast["root"]
    with write_session() as session:
        again = {"subject": EVIL, "contact_id": made["contact"], "account_id": made["account"]}
        crud.create(session, root, "ticket", again)
        crud.create(session, root, "lead", {"name": EVIL, "company": EVIL})
        steps = [{"do": "note", "text": EVIL}]
        session.add(Macro(name=EVIL[:80], about=EVIL[:120], steps=steps, visibility=Visibility.SHARED))
    opened, found = [], []
    for url, keys in DIALOGS.items():
        for key in keys:
            app = open_screen(root, url, id=made[url])
            if key not in rare(app):
                continue
            press(app, key).run()
            assert not app.exception, (url, key, app.exception)
            opened.append((url, key))
            found += [(url, key, *one) for one in misread(app)]
    assert found == [] and {"merge", "macro", "convert", "win", "lose"} <= {key for _, key in opened}, opened


@pytest.mark.parametrize("who", ["root", "sam"])
def test_no_screen_reads_a_name_as_anything_but_a_name(hostile, who):
    cast, made = hostile
    found = []
    for screen in PAGES:
        if not screen.allowed(cast[who]) or screen.url in ("start", "health"):
            continue
        params = {"id": made[screen.url]} if screen.url in made else {}
        app = open_screen(cast[who], screen.url, **params)
        assert not app.exception, (screen.url, app.exception)
        found += [(screen.url, *one) for one in misread(app)]
    assert found == []


@pytest.mark.parametrize("text", ['=HYPERLINK("http://e")', "+1+1", "-1+1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_formula_leaves_the_house_as_text(text):
    assert harmless(text).startswith("'")


def test_exports_carry_the_names_whole_and_the_formulas_as_text(cast):
    import csv
    import io

    import openpyxl

    from crm_core.lists import ListQuery
    from crm_core.services import exports

    names = [EVIL, '=HYPERLINK("http://e","x")', "مرحبا", "😀"]
    with write_session() as session:
        for name in names:
            crud.create(session, cast["root"], "account", {"name": name})
    with read_session() as session:
        data = exports.build(session, cast["root"], "account", ListQuery(columns=("name",))).data
        book = exports.build(session, cast["root"], "account", ListQuery(columns=("name",)), form="xlsx").data
    rows = [row[1] for row in csv.reader(io.StringIO(data.decode("utf-8-sig")))][1:]
    assert rows == [EVIL, "'" + names[1], *names[2:]]
    cells = [row[1] for row in openpyxl.load_workbook(io.BytesIO(book)).active.iter_rows(min_row=2, values_only=False)]
    assert [(cell.value, cell.data_type) for cell in cells] == [(name, "s") for name in names]
