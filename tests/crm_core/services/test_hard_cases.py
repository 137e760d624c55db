"""Small traps in writing records: numbers that are taken, names that are too long, two editors, exports of a part."""

import pytest
from sqlmodel import select

from crm_core.db import read_session, write_session
from crm_core.errors import Conflict, Invalid
from crm_core.lists import ListQuery
from crm_core.models import Event
from crm_core.services import crud, exports
from crm_core.services.customers import contacts


def make(actor, entity, **values):
    with write_session() as session:
        return crud.create(session, actor, entity, values)


def test_an_order_number_that_somebody_chose_does_not_stop_the_count(any_cast):
    root = any_cast["root"]
    make(root, "order", number="O-000002")
    make(root, "order", number="O-000007")
    numbers = [make(root, "order").number for _ in range(5)]
    assert numbers == ["O-000003", "O-000004", "O-000005", "O-000006", "O-000008"]


def test_a_web_address_with_an_endless_host_name_is_taken(any_cast):
    account = make(any_cast["root"], "account", name="Long", website=f"https://{'a.' * 200}example.com")
    assert len(account.domain) == 253


def test_two_editors_of_secondary_addresses_do_not_overwrite_each_other(any_cast):
    root = any_cast["root"]
    contact = make(root, "contact", name="Carla", email="main@example.com")
    main = {"kind": "email", "value": "main@example.com", "is_primary": True}
    with write_session() as session:
        contacts.set_points(
            session, root, contact.id, [main, {"kind": "email", "value": "one@example.com"}], base_version=contact.version
        )
    with pytest.raises(Conflict), write_session() as session:
        contacts.set_points(
            session, root, contact.id, [main, {"kind": "email", "value": "two@example.com"}], base_version=contact.version
        )


def test_contact_points_with_odd_labels_and_kinds(any_cast):
    root = any_cast["root"]
    contact = make(root, "contact", name="Carla")
    with write_session() as session:
        contacts.set_points(session, root, contact.id, [{"kind": "phone", "value": "+49 30 5551234", "label": "w\x00" * 60}])
    with read_session() as session:
        assert [len(point.label) for point in contacts.points(session, root, contact.id)] == [40]
    with pytest.raises(Invalid), write_session() as session:
        contacts.set_points(session, root, contact.id, [{"kind": "pigeon", "value": "coo"}])


@pytest.mark.parametrize("form", exports.FORMATS)
def test_a_list_of_which_nothing_may_be_exported_makes_no_empty_file(cast, form):
    make(cast["root"], "account", name="Somebody's")
    with read_session() as session, pytest.raises(Invalid, match="may export none of these accounts"):
        exports.build(session, cast["alice"], "account", ListQuery(), form=form)
    with read_session() as session:
        assert exports.build(session, cast["alice"], "account", ListQuery(q="nowhere"), form=form).rows == 0


def test_the_log_of_an_export_counts_the_rows_that_left(any_cast):
    make(any_cast["root"], "account", name="Somebody's")
    make(any_cast["alice"], "account", name="Mine")
    with read_session() as session:
        made = exports.build(session, any_cast["alice"], "account", ListQuery())
    with write_session() as session:
        exports.log(session, any_cast["alice"], "account", made, form="csv")
    assert b"Mine" in made.data and b"Somebody" not in made.data
    with read_session() as session:
        event = session.exec(select(Event).where(Event.type == "organisation.exported")).one()
        assert event.data["rows"] == 1
