"""The kernel: who may write, what merges, what conflicts, what a second click does."""

import pytest
from sqlmodel import col, select

from crm_core import events, lists, matching, records, search
from crm_core.db import read_session, versions, write_session
from crm_core.entities import entity
from crm_core.errors import Conflict, Invalid, NotFound, NotPermitted
from crm_core.lists import ListQuery
from crm_core.models import Event, MatchKey, SearchDocument
from crm_core.services.collaboration import notifications
from crm_core.services.collaboration.notifications import News


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


def test_many_at_once_are_as_one_by_one(any_cast):
    """``create_many``, ``record_many`` and ``notify_many`` against ``create``, ``record`` and ``notify``, from the words of the search to who may know."""
    root, alice, ana = any_cast["root"], any_cast["alice"], any_cast["ana"]
    rows = [{"name": f"Nord {name} GmbH", "website": f"https://{name}.example"} for name in ("a", "b")]
    kept = []
    for many in (False, True):
        with write_session() as session:
            made = (
                records.create_many(session, root, "account", rows)
                if many
                else [records.create(session, root, "account", row) for row in rows]
            )
            news = [
                News(user.user_id, "assigned.record", f"{many}:{user.user_id}:{one.id}", {"by": alice.user_id}, "account", one.id)
                for user in (root, root, alice, ana)
                for one in made
            ]
            told = (
                notifications.notify_many(session, news)
                if many
                else sum(
                    notifications.notify(
                        session, one.user_id, kind=one.kind, params=one.params, entity=one.entity, record_id=one.record_id, dedupe_key=one.dedupe_key
                    )
                    for one in news
                )
            )  # fmt: skip
            ids = [one.id for one in made]
        with read_session() as session:
            words = session.exec(
                select(SearchDocument.text).where(SearchDocument.entity == "account", col(SearchDocument.record_id).in_(ids))
            )
            keys = session.exec(
                select(MatchKey.kind, MatchKey.key).where(MatchKey.entity == "account", col(MatchKey.record_id).in_(ids))
            )
            log = session.exec(
                select(Event).where(Event.entity == "account", col(Event.record_id).in_(ids)).order_by(col(Event.id))
            )
            facts = [
                (one.type, one.changes, one.data, one.actor_id, one.via, one.depth, one.account_id == one.record_id) for one in log
            ]
            kept.append((sorted(words), sorted(keys), facts, told, [one.owner_id for one in made]))
    assert kept[0] == kept[1] and len(kept[0][1]) == 4 and kept[0][3] in (2, 4)
    with write_session() as session, pytest.raises(KeyError):
        events.record_many(session, root, "account", [("account.never_heard_of", made[0], {})])


@pytest.mark.parametrize("key", matching.MATCHED)
def test_the_fields_that_make_match_keys_are_all_named(key):
    asked = set()

    class Noting:
        def __getattr__(self, name):
            asked.add(name)
            return ""

    matching.keys_of(key, Noting())
    assert set(matching.sources(key)) == asked & set(entity(key).table.c.keys())


def test_only_what_is_searched_or_matched_is_indexed_anew():
    assert search.concerns("lead", ["name"]) and search.concerns("lead", ["email", "source"])
    assert not search.concerns("lead", ["source"])
