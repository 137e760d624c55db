"""What the telephone provider is told to do, as TwiML. Knows no database."""

from xml.etree.ElementTree import Element, SubElement, fromstring, indent, tostring

from crm_core.services.telephony.flow_rules import Turn
from crm_core.vocabulary import CallEnd, NodeKind

TIMEOUT_SECONDS = 6
RING_SECONDS = 25
RECORD_SECONDS = 180


def answer(turn: Turn, *, kind: NodeKind, language: str, address: str, no: int, phone: str = "", queue: str = "") -> str:
    """The document for a turn. ``address``: where the provider reports to; ``no``: the turn that the next report belongs to."""
    root = Element("Response")
    if turn.waits:
        gather = SubElement(root, "Gather", {
            "input": "dtmf", "numDigits": "1", "timeout": str(TIMEOUT_SECONDS), "action": f"{address}?e=key&t={no}", "method": "POST",
            "actionOnEmptyResult": "true",
        })  # fmt: skip
        _say(gather, turn, language)
        return _text(root)
    _say(root, turn, language)
    if turn.end is CallEnd.QUEUED and kind is NodeKind.QUEUE:
        if phone:
            dial = SubElement(root, "Dial", {"timeout": str(RING_SECONDS), "action": f"{address}?e=dial&t={no}", "method": "POST"})
            SubElement(dial, "Number").text = phone
        else:
            SubElement(root, "Enqueue", {"action": f"{address}?e=dial&t={no}", "method": "POST"}).text = queue
        return _text(root)
    if turn.end is CallEnd.VOICEMAIL:
        SubElement(root, "Record", {
            "maxLength": str(RECORD_SECONDS), "playBeep": "true", "finishOnKey": "#", "action": f"{address}?e=voice&t={no}", "method": "POST",
        })  # fmt: skip
        return _text(root)
    SubElement(root, "Hangup")
    return _text(root)


def bye(words: str, language: str) -> str:
    """A last sentence."""
    root = Element("Response")
    SubElement(root, "Say", {"language": language}).text = words
    SubElement(root, "Hangup")
    return _text(root)


def _say(parent: Element, turn: Turn, language: str) -> None:
    for words in turn.said:
        if words.strip():
            SubElement(parent, "Say", {"language": language}).text = words


def _text(root: Element) -> str:
    return '<?xml version="1.0" encoding="UTF-8"?>' + tostring(root, encoding="unicode")


def pretty(document: str) -> str:
    """A document of ours with a line per element, to be read by people."""
    root = fromstring(document)  # noqa: S314  (made above)
    indent(root)
    return _text(root).replace("?><", "?>\n<", 1) + "\n"
