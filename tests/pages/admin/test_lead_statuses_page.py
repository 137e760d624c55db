"""Lead statuses beside the pipelines: shown in order, one is retired with its leads going elsewhere."""

from crm_core.services.admin import lead_statuses
from crm_core.services.admin.lead_statuses import StatusRow
from crm_core.vocabulary import LeadKind
from tests.pages.app import open_screen, words
from tests.verbs import do, look


def test_a_status_is_retired_on_the_page_and_the_last_of_its_meaning_is_not(cast):
    root = cast["root"]
    rows = look(lead_statuses.find, root).rows
    do(lead_statuses.save, root, [*rows, StatusRow(None, "**Hot**", LeadKind.WORKING)])
    app = open_screen(root, "pipelines", part="statuses")
    assert not app.exception and "first status of their meaning" in words(app)
    app.button(key="status_edit").click().run()
    assert not app.exception
    app.button(key="status_retire").click().run()
    app.selectbox(key="retire_which").select(rows[0].id).run()
    assert "only status that means" in app.info[0].value
    hot = look(lead_statuses.find, root).rows[-1].id
    app.selectbox(key="retire_which").select(hot).run()
    app.button(key="retire_yes").click().run()
    assert not app.exception and hot not in {row.id for row in look(lead_statuses.find, root).rows}
