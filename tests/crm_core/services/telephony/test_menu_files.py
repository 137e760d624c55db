"""A telephone menu as files: TwiML of every step, JSON out and in again."""

import json
from xml.etree.ElementTree import fromstring

import pytest

from crm_core.db import write_session
from crm_core.errors import Conflict, Invalid, NotPermitted
from crm_core.models import VoiceMenu
from crm_core.services.telephony import menu_files, menus
from tests.verbs import do, look


def test_a_menu_goes_out_and_comes_back_as_a_new_version(cast):
    root, sam = cast["root"], cast["sam"]
    menu = do(menus.save, root, None, {"name": "Main", "token": "secret-token"})
    told = {(one.node, one.when): fromstring(one.xml) for one in look(menu_files.twiml, sam, menu.id, address="https://x/voice/k")}
    assert {node for node, _ in told} == set(menu.flow["nodes"])
    assert (
        told["hours", "While open"].find("Gather").get("action") == "https://x/voice/k?e=key&t=1"
        and told["hours", "While closed"].find("Record") is not None
    )
    assert [told[node, ""][-1].tag for node in ("help", "back", "message")] == ["Enqueue", "Hangup", "Record"]
    assert look(menu_files.twiml_file, sam, menu.id, address="https://x")[:2] == b"PK"
    with pytest.raises(Conflict):
        look(menu_files.to_json, sam, menu.id, published=True)
    do(menus.publish, root, menu.id)
    data = look(menu_files.to_json, sam, menu.id)
    assert b"secret-token" not in data and look(menu_files.read, root, menu.id, data).same
    with write_session() as session:  # a step with an empty field, as drafts may have
        kept = session.get(VoiceMenu, menu.id)
        kept.flow = {**kept.flow, "nodes": {**kept.flow["nodes"], "help": {**kept.flow["nodes"]["help"], "skill": "", "phone": ""}}}
    assert look(menu_files.read, root, menu.id, look(menu_files.to_json, sam, menu.id)).same
    other = look(menu_files.read, root, menu.id, json.dumps({**json.loads(data), "start": "main"}).encode())
    assert (other.same, other.changed) == (False, ("Main menu",)), "it begins elsewhere"
    given = json.loads(data)
    given["nodes"]["back"]["prompt"] = "We <b>call</b> back"
    given["nodes"]["tip"] = {
        "kind": "article",
        "title": "Tip",
        "prompt": "Listen",
        "article": 99,
        "article_title": "Elsewhere",
        "next": "help",
    }
    given["nodes"]["main"]["keys"]["4"] = "tip"
    found = look(menu_files.read, root, menu.id, json.dumps(given).encode())
    assert (found.added, found.changed, found.gone) == (("Tip",), ("Main menu", "Call back"), ())
    assert "Elsewhere" in found.notes[0] and any("reads no article" in one for one in found.problems)
    with pytest.raises(Invalid, match="reads no article"):
        do(menu_files.take_in, root, menu.id, json.dumps(given).encode(), use=True)
    assert do(menu_files.take_in, root, menu.id, json.dumps(given).encode()).published_no == 1, "a draft may be unfinished"
    del given["nodes"]["tip"], given["nodes"]["main"]["keys"]["4"]
    assert do(menu_files.take_in, root, menu.id, json.dumps(given).encode(), use=True).published_no == 2
    with pytest.raises(Conflict):
        do(menu_files.take_in, root, menu.id, data, base_version=1)
    with pytest.raises(NotPermitted):
        do(menu_files.take_in, sam, menu.id, data)
    odd = [b"", b"\xff\xfe", b"[]", b"{}", b"[" * 100_000, b"x" * 600_000, json.dumps({**given, "edition": 9}).encode(), json.dumps({**given, "nodes": {"A b": {"kind": "say"}}}).encode(), json.dumps({**given, "nodes": {"a": {"kind": "rocket"}}}).encode()]  # fmt: skip
    for one in odd:
        with pytest.raises(Invalid):
            look(menu_files.read, root, menu.id, one)


def test_a_step_whose_article_nobody_hears_any_more_comes_back_unchanged(cast):
    root = cast["root"]
    menu = do(menus.save, root, None, {"name": "Main", "token": "secret-token"})
    nodes = {
        **menu.flow["nodes"],
        "tip": {"kind": "article", "title": "Tip", "prompt": "Listen", "article": 99, "next": "help"},
    }
    do(menus.save, root, menu.id, {"flow": {**menu.flow, "nodes": nodes}})
    found = look(menu_files.read, root, menu.id, look(menu_files.to_json, root, menu.id))
    assert (found.same, found.notes) == (True, ())
