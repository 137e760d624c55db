"""The segment screens: every role, an empty database, a segment with a harmful name."""

import pytest

from crm_core.db import write_session
from crm_core.services.marketing import segments
from crm_core.vocabulary import Action
from tests.pages.app import open_screen, words
from tests.pages.sales.test_sales_pages import EVIL
from ui.navigation import screen_of, screens_for


@pytest.mark.parametrize("who", ["root", "bob", "alice", "dana", "ana"])
def test_the_empty_list_says_what_to_do(cast, who):
    app = open_screen(cast[who], "segments")
    assert not app.exception and not app.error and "No segments yet" in words(app)
    assert ("New segment" in words(app)) == cast[who].can("segment", Action.CREATE)


def test_an_agent_has_no_segments(cast):
    assert screen_of("segments") not in screens_for(cast["sam"])


@pytest.mark.parametrize("who", ["dana", "alice"])
def test_a_segment_with_a_harmful_name_opens(cast, who):
    with write_session() as session:
        made = segments.create(session, cast["dana"], name=EVIL.strip()[:120], entity="contact")
    app = open_screen(cast[who], "segment", id=made)
    assert not app.exception and app.title[0].value.startswith("\\!\\[x\\]")
