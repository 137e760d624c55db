"""Merging from a record's menu, the review of duplicates, and old links."""

from crm_core.services.admin import custom_fields
from crm_core.services.customers import contacts, merging
from tests.crm_core.services.customers.test_duplicate_scan import scan
from tests.crm_core.services.customers.test_merging import person
from tests.pages.app import draw_alone, open_screen, words
from tests.verbs import do, look
from ui.components.merge_records import merge_dialog


def test_a_merge_is_chosen_side_by_side_and_taken_apart(cast):
    root = cast["root"]
    stays, goes = (
        person(root, email="maria@example.com", city="Bonn"),
        person(root, "Maria C. Lopez", email="maria@example.com", city="Köln"),
    )
    app = draw_alone(root, merge_dialog, "contact", stays)
    app.radio(key=f"merge_likely_contact_{stays}").set_value(goes).run()
    shown = words(app)
    assert not app.exception and "Where they differ" in shown and "goes to the bin" in shown
    pair = f"merge_contact_{stays}_{goes}"
    assert app.radio(key=f"{pair}_name").value == goes
    app.radio(key=f"{pair}_city").set_value(stays).run()
    app.button(key="merge_yes").click().run()
    assert look(contacts.traces, root, stays) == []
    kept = look(lambda session, _actor: session.get(contacts.Contact, stays), root)
    assert (kept.name, kept.city) == ("Maria C. Lopez", "Bonn")
    page = open_screen(root, "contact", id=stays)
    done = look(merging.of, root, "contact", stays)[0]
    page.button(key=f"apart_{done}").click().run()
    assert not page.exception and look(merging.of, root, "contact", stays) == []


def test_the_dialog_asks_once_and_shows_the_label_of_a_field_as_it_is(cast, monkeypatch):
    root = cast["root"]
    key = do(custom_fields.create, root, "contact", label="Size *big*", kind="text").key
    stays, goes = (person(root, email="maria@example.com", **{key: size}) for size in ("One", "Two"))
    asked = []

    def counting(*args):
        asked.append(args[2:])
        return ahead(*args)

    ahead = merging.ahead
    monkeypatch.setattr(merging, "ahead", counting)
    app = draw_alone(root, merge_dialog, "contact", stays)
    app.radio(key=f"merge_likely_contact_{stays}").set_value(goes).run()
    pair = f"merge_contact_{stays}_{goes}"
    assert asked == [("contact", stays, goes)]
    assert app.radio(key=f"{pair}_{key}").label == "Size \\*big\\*"
    app.radio(key=f"{pair}_stays").set_value(goes).run()
    assert not app.exception and asked[1:] == [("contact", stays, goes), ("contact", goes, stays)]


def test_of_two_that_are_called_the_same_the_chosen_one_stays(cast):
    root = cast["root"]
    stays, goes = (person(root, email="maria@example.com", description="x" * 200 + end) for end in "ab")
    app = draw_alone(root, merge_dialog, "contact", stays)
    app.radio(key=f"merge_likely_contact_{stays}").set_value(goes).run()
    pair = f"merge_contact_{stays}_{goes}"
    app.radio(key=f"{pair}_description").set_value(stays).run()
    assert (app.radio(key=f"{pair}_stays").value, app.radio(key=f"{pair}_description").value) == (stays, stays)
    app.button(key="merge_yes").click().run()
    kept = look(lambda session, _actor: session.get(contacts.Contact, stays), root)
    assert kept.deleted_at is None and kept.description.endswith("a")
    assert len(look(merging.of, root, "contact", stays)) == 1 and f"_drawn_{pair}" not in app.session_state


def test_an_old_link_leads_to_the_one_that_stayed(cast):
    root = cast["root"]
    stays, goes = person(root), person(root, "Maria Lopez-Berg")
    do(merging.merge, root, "contact", stays, goes)
    app = open_screen(root, "contact", id=goes)
    assert not app.exception and not app.error and str(stays) in app.query_params["id"]


def test_the_review_says_what_to_do_and_remembers_decisions(cast):
    root = cast["root"]
    assert "Nobody looked yet" in words(open_screen(root, "duplicates"))
    for _ in range(2):
        person(root, email="maria@example.com")
    scan(root)
    app = open_screen(root, "duplicates", kind="contact")
    different = next(button for button in app.button if (button.key or "").startswith("different_"))
    assert not app.exception and "same e-mail address" in words(app)
    different.click().run()
    assert "stay two" in words(app) and "same e-mail address" not in words(app)
    app.button(key="decided_undo").click().run()
    assert "same e-mail address" in words(app)
