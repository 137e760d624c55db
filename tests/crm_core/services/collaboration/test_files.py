"""Files on records: kept once, handed out only through the check, never as something that a browser runs."""

from dataclasses import replace

import pytest

from crm_core.errors import Invalid, NotFound, NotPermitted, Unavailable
from crm_core.services import crud
from crm_core.services.collaboration import files, timeline
from crm_core.settings import settings
from tests.verbs import do, look


@pytest.fixture
def deal(cast):
    return do(crud.create, cast["alice"], "deal", {"name": "Big one"})


def put(actor, deal, name="offer.pdf", content=b"%PDF hello"):
    return do(files.attach, actor, "deal", deal.id, name=name, content=content)


def kept():
    return [path for path in (settings().data_dir / files.FOLDER).rglob("*") if path.is_file()]


def test_a_file_comes_back_as_it_went_in_and_is_told_in_the_timeline(cast, deal):
    alice = cast["alice"]
    row = put(alice, deal)
    assert look(files.read, alice, row.id) == ("offer.pdf", "application/pdf", b"%PDF hello")
    assert [(one.name, one.size_bytes, one.by) for one in look(files.find, alice, "deal", deal.id)] == [
        ("offer.pdf", 10, "Alice Rep")
    ]
    items, _ = look(timeline.find, alice, "deal", deal.id)
    assert items[0].sentence == "attached {name}" and items[0].data["name"] == "offer.pdf"


def test_the_same_click_twice_keeps_one_and_equal_contents_lie_once(cast, deal):
    alice = cast["alice"]
    assert put(alice, deal).id == put(alice, deal).id
    put(alice, deal, name="copy.pdf")
    assert len(look(files.find, alice, "deal", deal.id)) == 2 and len(kept()) == 1


@pytest.mark.parametrize("name", ["evil.html", "evil.svg", "run.exe", "noending", "x.xhtml"])
def test_what_a_browser_could_run_leaves_as_bytes(cast, deal, name):
    row = put(cast["alice"], deal, name=name, content=b"<script>alert(1)</script>")
    assert look(files.read, cast["alice"], row.id)[1] == files.OPAQUE


@pytest.mark.parametrize(
    ("name", "plain"),
    [("../../etc/passwd", "passwd"), ("C:\\x\\y.doc", "y.doc"), ("a<b>|c?.txt", "a_b__c_.txt"), ("..", "file"), ("x" * 400 + ".pdf", "x" * 196 + ".pdf"), ("\u202efdp.exe", "_fdp.exe")],
)  # fmt: skip
def test_names_are_made_harmless(name, plain):
    assert files.file_name(name) == plain


def test_who_may_not_see_the_record_finds_no_file_and_who_only_reads_adds_none(cast, deal):
    row = put(cast["alice"], deal)
    for verb in (
        lambda s, a: files.read(s, a, row.id),
        lambda s, a: files.find(s, a, "deal", deal.id),
        lambda s, a: files.remove(s, a, row.id),
    ):
        with pytest.raises(NotFound):
            do(verb, cast["charlie"])
    with pytest.raises(NotPermitted):
        put(cast["ana"], deal)
    with pytest.raises(NotPermitted):
        do(files.remove, cast["ana"], row.id)
    assert look(files.read, cast["ana"], row.id)[2] == b"%PDF hello"


def test_a_guessed_file_is_one_that_does_not_exist(cast, deal):
    row = put(cast["alice"], deal)
    keyless = replace(cast["charlie"], grants={})
    for actor in (cast["charlie"], keyless):
        for verb in (files.read, files.remove):
            for number in (row.id, 987_654, -1, 10**30):
                with pytest.raises(NotFound, match="This file does not exist, or is not shared with you"):
                    do(verb, actor, number)


def test_a_removed_file_is_gone_and_its_twin_stays(cast, deal):
    alice = cast["alice"]
    first, second = put(alice, deal), put(alice, deal, name="copy.pdf")
    do(files.remove, alice, first.id)
    for verb in (files.read, files.remove):
        with pytest.raises(NotFound):
            do(verb, alice, first.id)
    assert look(files.read, alice, second.id)[2] == b"%PDF hello"


def test_too_large_empty_and_missing(cast, deal, monkeypatch):
    alice = cast["alice"]
    with pytest.raises(Invalid, match="empty"):
        put(alice, deal, content=b"")
    monkeypatch.setattr(files, "MAX_MB", 0)
    with pytest.raises(Invalid, match="larger than 0 MB"):
        put(alice, deal)
    monkeypatch.undo()
    monkeypatch.setattr(files, "MAX_FILES", 1)
    put(alice, deal)
    with pytest.raises(Invalid, match="at most 1"):
        put(alice, deal, name="more.pdf")
    assert kept() and len(kept()) == 1
    with pytest.raises(Invalid, match="can't be attached"):
        do(files.attach, alice, "user", 1, name="x", content=b"x")


def test_content_that_is_lost_or_damaged_is_said_and_never_handed_out(cast, deal):
    row = put(cast["alice"], deal)
    kept()[0].write_bytes(b"something else")
    with pytest.raises(Unavailable, match="damaged"):
        look(files.read, cast["alice"], row.id)
    kept()[0].unlink()
    with pytest.raises(Unavailable, match="missing"):
        look(files.read, cast["alice"], row.id)
