"""Who looked at whose data is noted once, beside the page, and shown to whoever may see the trail."""

from dataclasses import replace

import pytest

from crm_core import db, reads
from crm_core.db import read_session, write_session
from crm_core.errors import NotPermitted, Unavailable
from crm_core.lists import ListQuery
from crm_core.services import crud, exports
from crm_core.services.admin import personal_reads, retention
from crm_core.vocabulary import ReadWay
from tests.verbs import do, look


@pytest.fixture
def contact(cast):
    return ida(cast)


def ida(people):
    made = do(crud.create, people["alice"], "contact", {"name": "Ida", "email": "ida@example.com"}).id
    reads.flush()
    return made


def open_page(actor, entity, record_id):
    with read_session() as session:
        reads.looked(session, actor, entity, record_id)


def lines(actor, **filters):
    reads.flush()
    return [row["look"] for row in look(personal_reads.find, actor, **filters).rows]


def test_a_look_is_noted_once_per_person_and_quarter_of_an_hour(any_cast):
    alice, root, contact = any_cast["alice"], any_cast["root"], ida(any_cast)
    for _ in range(3):
        open_page(alice, "contact", contact)
    reads.flush()
    open_page(alice, "contact", contact)
    open_page(root, "contact", contact)
    found = lines(root)
    assert [(one.who, one.what, one.way) for one in found] == [
        ("Root", "Contact “Ida”", ReadWay.PAGE),
        ("Alice Rep", "Contact “Ida”", ReadWay.PAGE),
    ]
    assert [one.who for one in lines(any_cast["bob"])] == ["Alice Rep"], "a manager sees the looks of those below"
    with pytest.raises(NotPermitted):
        lines(alice)


def test_what_is_masked_or_not_personal_is_no_look_and_nothing_is_noted_once_it_is_switched_off(cast, contact):
    root = cast["root"]
    product = do(crud.create, root, "product", {"name": "Thing"}).id
    open_page(cast["ana"], "contact", contact)
    open_page(root, "product", product)
    do(retention.change, root, {"log_reads": False})
    open_page(root, "contact", contact)
    assert lines(root) == []


def test_exports_and_lists_of_the_api_stand_under_each_of_their_records(cast, contact):
    alice, root = cast["alice"], cast["root"]
    other = do(crud.create, alice, "contact", {"name": "Tom", "email": "tom@example.com"}).id
    for columns in (("name", "email"), ("city",)):
        made = look(exports.build, alice, "contact", ListQuery(columns=columns))
        do(exports.log, alice, "contact", made, form="csv")
    with read_session() as session:
        reads.took(session, root, "contact", [other], fields=("email",))
        reads.took(session, root, "contact", [other], fields=("city",))
    assert [(one.way, one.what, one.words) for one in lines(root)] == [
        (ReadWay.API, "1 contact", ""),
        (ReadWay.EXPORT, "2 contacts", "CSV"),
    ]
    assert [one.who for one in look(personal_reads.of_record, root, "contact", contact)] == ["Alice Rep"]
    assert [one.who for one in look(personal_reads.of_record, root, "contact", other)] == ["Root", "Alice Rep"]


def test_what_can_not_be_written_waits(cast, contact, monkeypatch):
    root = cast["root"]
    open_page(root, "contact", contact)

    def busy():
        raise Unavailable("The database is busy.")

    with monkeypatch.context() as patched:
        patched.setattr(reads, "write_session", busy)
        assert reads.flush() == 0
    assert reads.flush() == 1 and len(lines(root)) == 1


def test_somebody_without_a_name_leaves_no_line(cast, contact):
    open_page(replace(cast["root"], user_id=None, is_system=True), "contact", contact)
    with write_session() as session:
        assert reads.flush() == 0 and db.is_sqlite(session) is not None
