"""Telephone menus: every path of a flow, what is wrong with one, and the published signature."""

import pytest

from crm_core.services.telephony import flow_rules, signature_rules
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
