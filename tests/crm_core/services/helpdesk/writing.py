"""A published article, written as agents write it."""

from crm_core.services.helpdesk import articles
from tests.verbs import do

PUBLIC = {"state": "published"}
SHORT = "Hold the button on the back for ten seconds. The light blinks twice, then let go."


def article(actor, title="Reset the router", **values):
    return do(articles.create, actor, {"title": title, "summary": SHORT, "body": "# Steps\n\n1. Hold it", **PUBLIC, **values})
