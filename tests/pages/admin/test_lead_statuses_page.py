"""Lead statuses beside the pipelines: shown in order, changed in two dialogs by whoever manages pipelines."""

from crm_core.services.admin import lead_statuses
from crm_core.services.admin.lead_statuses import StatusRow
from crm_core.vocabulary import LeadKind
from tests.pages.app import open_screen, words
from tests.verbs import do, look


def test_statuses_stand_beside_the_pipelines_with_what_can_be_done(cast):
    root = cast["root"]
    do(lead_statuses.save, root, [*look(lead_statuses.find, root).rows, StatusRow(None, "**Hot**", LeadKind.WORKING)])
    app = open_screen(root, "pipelines", part="statuses")
    assert not app.exception and "first status of their meaning" in words(app)
    app.button(key="status_edit").click().run()
    assert not app.exception and app.button(key="status_save")
    app.button(key="status_retire").click().run()
    assert not app.exception and app.selectbox(key="retire_which").options[-1] == "**Hot**"
