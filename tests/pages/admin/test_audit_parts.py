"""Each part of the audit page is drawn, and its address can be linked to; a person's record says who looked."""

from crm_core import reads
from crm_core.services import crud
from tests.pages.app import open_screen, words
from tests.verbs import do


def test_a_look_at_a_person_stands_under_the_record_and_in_the_trail_and_rules_are_saved(cast):
    root = cast["root"]
    contact = do(crud.create, root, "contact", {"name": "Ida", "email": "ida@example.com"}).id
    app = open_screen(root, "contact", id=contact)
    assert reads.flush() == 1
    app.button(key="looks").click().run()
    assert not app.exception and "Nobody whom" not in words(app)
    app = open_screen(root, "audit", part="Looks at personal data", kind="contact", record=contact)
    assert not app.exception and "1 look" in words(app)
    app = open_screen(root, "audit", part="How long it is kept")
    app.selectbox(key="keep_signins_months_0").set_value(12).run()
    app.button(key="save_policy").click().run()
    assert not app.exception and not app.error and app.selectbox(key="keep_signins_months_1").value == 12
