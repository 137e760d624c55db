"""The kernel: who may write, what merges, what conflicts, what a second click does."""

import pytest

from crm_core import lists, records
from crm_core.db import read_session, versions, write_session
from crm_core.errors import Conflict, Invalid, NotFound, NotPermitted
from crm_core.lists import ListQuery


def make(actor, **values):
    with write_session() as session:
        return records.create(session, actor, "account", {"name": "Northwind", **values})


def test_a_created_account_is_found_listed_and_searchable(any_cast):
    account = make(any_cast["alice"], city="Århus")
    with read_session() as session:
        assert records.get(session, any_cast["bob"], "account", account.id).name == "Northwind"
        page = lists.find(session, any_cast["bob"], "account", ListQuery(q="north"))
        assert [row["name"] for row in page.rows] == ["Northwind"]
        assert page.rows[0]["owner_id.title"] == "Alice Rep"
        assert lists.count(session, any_cast["bob"], "account", ListQuery(q="arhus")) == 1
        assert lists.count(session, any_cast["bob"], "account", ListQuery(q='a"b AND (')) == 0


def test_changes_of_different_fields_merge_and_of_the_same_field_conflict(any_cast):
    account = make(any_cast["alice"])
    drawn = account.version
    with write_session() as session:
        records.update(session, any_cast["bob"], "account", account.id, {"city": "Oslo"}, base_version=drawn)
    with write_session() as session:
        saved = records.update(session, any_cast["alice"], "account", account.id, {"country": "Norway"}, base_version=drawn)
        assert saved.merged == ("city",)
    with pytest.raises(Conflict) as caught, write_session() as session:
        records.update(session, any_cast["alice"], "account", account.id, {"city": "Bergen"}, base_version=drawn)
    assert caught.value.details["fields"] == {"city": (None, "Oslo", "Bergen")}


def test_a_second_click_on_save_creates_nothing(any_cast):
    with write_session() as session:
        first = records.create(session, any_cast["alice"], "account", {"name": "One"}, submit_key="k1")
    with write_session() as session:
        again = records.create(session, any_cast["alice"], "account", {"name": "One"}, submit_key="k1")
        assert again.id == first.id
        assert lists.count(session, any_cast["root"], "account", ListQuery()) == 1


def test_a_record_of_somebody_else_may_be_seen_but_not_changed(cast):
    account = make(cast["alice"])
    with pytest.raises(NotPermitted, match="may see this account, but not edit it"), write_session() as session:
        records.update(session, cast["charlie"], "account", account.id, {"city": "Oslo"})


def test_a_hidden_record_looks_missing(cast):
    with pytest.raises(NotFound), read_session() as session:
        records.get(session, cast["alice"], "account", 999)
    with pytest.raises(NotFound), read_session() as session:
        records.get(session, cast["alice"], "account", 2**40)


def test_bad_input_names_every_field_and_leaves_nothing(cast):
    with pytest.raises(Invalid) as caught, write_session() as session:
        records.create(
            session, cast["alice"], "account", {"name": " ", "employees": "many", "website": "javascript:alert(1)", "owner_id": 999}
        )
    assert set(caught.value.fields) == {"name", "employees", "website"}
    with read_session() as session:
        assert lists.count(session, cast["root"], "account", ListQuery()) == 0


def test_a_writing_transaction_raises_the_version_of_its_table_and_a_failed_one_does_not(any_cast):
    def version():
        with read_session() as session:
            return dict(versions(session, ("account",)))["account"]

    before = version()
    make(any_cast["alice"])
    assert version() == before + 1
    with pytest.raises(Invalid), write_session() as session:
        records.create(session, any_cast["alice"], "account", {"name": ""})
    assert version() == before + 1


def test_the_bin_hides_and_gives_back(cast):
    account = make(cast["root"])
    with write_session() as session:
        records.archive(session, cast["root"], "account", account.id)
    with read_session() as session:
        assert lists.count(session, cast["root"], "account", ListQuery()) == 0
        assert lists.count(session, cast["root"], "account", ListQuery(deleted=True)) == 1
    with write_session() as session:
        records.restore(session, cast["root"], "account", account.id)
    with read_session() as session:
        assert lists.count(session, cast["root"], "account", ListQuery()) == 1
