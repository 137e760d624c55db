"""Telephone menus: every path of a flow, what is wrong with one, and the published signature."""

import pytest

from crm_core.services.telephony import drop_off, flow_rules, signature_rules
from crm_core.services.telephony.menus import START
from crm_core.vocabulary import CallEnd

PATHS = [
    (True, ["1"], "help", CallEnd.QUEUED),
    (True, ["2"], "billing", CallEnd.QUEUED),
    (True, ["3"], "back", CallEnd.CALLBACK),
    (True, ["9", "", "1"], "help", CallEnd.QUEUED),
    (True, ["9", "9", "9"], "back", CallEnd.CALLBACK),
    (True, ["", "", ""], "back", CallEnd.CALLBACK),
    (True, ["1", None], "message", CallEnd.VOICEMAIL),
    (True, ["", "12", "1\x00"], "back", CallEnd.CALLBACK),
    (True, ["²", "x" * 10_000, "*"], "back", CallEnd.CALLBACK),
    (False, [], "message", CallEnd.VOICEMAIL),
]


@pytest.mark.parametrize(("is_open", "pressed", "node", "end"), PATHS)
def test_every_path_of_a_flow(is_open, pressed, node, end):
    turn = flow_rules.begin(START, is_open=is_open)
    for digits in pressed:
        if digits is None:
            turn = flow_rules.unanswered(START, turn.node, is_open=is_open)
        else:
            assert turn.waits
            turn = flow_rules.press(START, turn.node, turn.tries, digits, is_open=is_open)
    assert (turn.node, turn.end, turn.waits) == (node, end, False)


def _flow(start="a", **nodes):
    return {"start": start, "nodes": nodes}


END = {"kind": "hangup", "title": "End"}
SAY = {"kind": "say", "title": "Say", "prompt": "Hello"}
WRONG = {
    "no steps yet": {},
    "with which step": _flow("x", a=END),
    "ever gets to “End”": _flow(a=SAY, b=END),
    "has no keys": _flow(a={"kind": "menu", "title": "M", "prompt": "?"}),
    "says nothing": _flow(a={"kind": "say", "title": "M"}),
    "no telephone has": _flow(a={"kind": "menu", "title": "M", "prompt": "?", "keys": {"A": "b"}}, b=END),
    "key 1: leads nowhere": _flow(a={"kind": "menu", "title": "M", "prompt": "?", "keys": {"1": "zz"}}),
    "closed: leads nowhere": _flow(a={"kind": "hours", "title": "H", "open": "b"}, b=END),
    "round in circles": _flow(a={**SAY, "next": "b"}, b={**SAY, "next": "a"}),
    "nobody listens": _flow(a={"kind": "say", "title": "M", "prompt": "x" * 1_001}),
    "walked by nobody": _flow(**{f"n{n}": END for n in range(61)}),
}


@pytest.mark.parametrize("words", WRONG)
def test_what_is_wrong_is_said_in_words(words):
    assert any(words in sentence for sentence in flow_rules.problems(WRONG[words]))


def test_a_new_menu_is_right_and_a_circle_ends_the_call():
    assert flow_rules.problems(START) == []
    assert flow_rules.begin(WRONG["round in circles"], is_open=True).end is CallEnd.ABANDONED
    assert flow_rules.begin({}, is_open=True).end is not None


def test_the_signature_is_that_of_the_documentation():
    """The example of the provider's own documentation and libraries."""
    fields = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }
    url, right = "https://mycompany.com/myapp.php?foo=1&bar=2", "RSOYDt4T1cUTdK1PDd93/VVr8B8="
    assert signature_rules.sign("12345", url, fields) == right
    assert signature_rules.is_signed("12345", url, fields, right)
    for token, address, form, given in (
        ("12346", url, fields, right), ("12345", url + "0", fields, right), ("12345", url, {**fields, "Digits": "1"}, right), ("12345", url, fields, ""),
        ("12345", url, fields, "é" * 9), ("", url, fields, signature_rules.sign("", url, fields)),
    ):  # fmt: skip
        assert not signature_rules.is_signed(token, address, form, given)


def reader(**values):
    node = {"kind": "article", "title": "Reset", "prompt": "Here is how.", "article": 7, "next": "help", **values}
    return {"start": "read", "nodes": {"read": node, "help": START["nodes"]["help"], "message": START["nodes"]["message"]}}


@pytest.mark.parametrize(
    ("pressed", "node", "waits", "end", "heard"),
    [
        ([], "read", True, None, "Hold the button."),
        (["1"], "read", True, None, "Hold the button."),
        (["2"], "help", False, CallEnd.QUEUED, "we put you through"),
        (["9"], "read", True, None, "press 2"),
        (["", ""], "read", True, None, "press 2"),
        (["", "", ""], "read", False, CallEnd.INFORMED, "Goodbye"),
        (["", "1", "", "2"], "help", False, CallEnd.QUEUED, "we put you through"),
        (["²", "\x00", "x" * 9_000], "read", False, CallEnd.INFORMED, "Goodbye"),
    ],
)
def test_an_article_is_read_again_or_leads_to_somebody(pressed, node, waits, end, heard):
    flow = flow_rules.spoken(reader(), {7: "Hold the button."}, "en-US")
    assert flow_rules.problems(flow) == []
    turn = flow_rules.begin(flow, is_open=True)
    for digits in pressed:
        turn = flow_rules.press(flow, turn.node, turn.tries, digits, is_open=True)
    assert (turn.node, turn.waits, turn.end) == (node, waits, end) and heard in " ".join(turn.said)


def test_an_article_that_is_gone_leads_to_somebody_and_the_menu_says_so():
    gone = flow_rules.spoken(reader(), {}, "en-US")
    turn = flow_rules.begin(gone, is_open=True)
    assert turn.said[0] == flow_rules.UNAVAILABLE["en"] and turn.end is CallEnd.QUEUED and turn.passed == ("read", "help")
    again = flow_rules.press(gone, "read", 0, "1", is_open=True)
    assert again.said[0] == flow_rules.UNAVAILABLE["en"] and again.end is CallEnd.QUEUED, "archived while somebody listens"
    assert "not published" in flow_rules.problems(gone)[0]
    assert "reads no article" in flow_rules.problems(flow_rules.spoken(reader(article=None), {}, "de-DE"))[0]
    lost = flow_rules.problems(flow_rules.spoken(reader(next=""), {7: "x"}, "de-DE"))
    assert any("leads to nobody" in words for words in lost)
    assert "drücken Sie die 1" in flow_rules.says(flow_rules.spoken(reader(), {7: "x"}, "de-DE")["nodes"]["read"])[2]
    assert flow_rules.articles_in(reader()) == [7] and flow_rules.articles_in(reader(article="7; drop")) == []


def test_articles_that_lead_to_each_other_only_are_no_way_out():
    circle = reader(next="other")
    circle["nodes"]["other"] = {**circle["nodes"]["read"], "title": "Other", "article": 8, "next": "read"}
    circle["nodes"] = {key: circle["nodes"][key] for key in ("read", "other")}
    told = flow_rules.problems(flow_rules.spoken(circle, {7: "One.", 8: "Two."}, "en-US"))
    assert len(told) == 2 and all("round in circles" in words for words in told)
    turn = flow_rules.begin(flow_rules.spoken(circle, {}, "de-AT"), is_open=True)
    assert turn.said == (flow_rules.UNAVAILABLE["de"], "Goodbye.") and turn.end is CallEnd.ABANDONED


def test_a_call_counts_once_at_each_step_and_leaves_where_it_hung_up():
    def call(*nodes, end=CallEnd.QUEUED):
        return [{"node": node, "title": node.title()} for node in nodes], nodes[-1], end

    calls = (
        [call("hours", "main", "main", end=CallEnd.ABANDONED)] * 3
        + [call("hours", "main", "help")] * 8
        + [call("hours", end=CallEnd.ABANDONED)]
    )
    total, steps = drop_off.counted(calls)
    assert total == 12
    assert [(step.node, step.title, step.reached, step.left) for step in steps] == [
        ("hours", "Hours", 12, 1), ("main", "Main", 11, 3), ("help", "Help", 8, 0),
    ]  # fmt: skip
    assert [step.share for step in steps] == [1 / 12, 3 / 11, None]
    (queue,) = drop_off.counted([call("help")] * 20)[1]
    assert queue.hands_on and queue.share is None, "who hangs up while waiting there is not known"
