"""Editable lists: add, rename (in the records too), take out of use without losing what records hold."""

from dataclasses import replace

import pytest

from crm_core import records
from crm_core.db import read_session, write_session
from crm_core.errors import Conflict, Invalid, NotFound, NotPermitted
from crm_core.fields import registry
from crm_core.services.admin import custom_fields, pick_lists


def account(actor, **values):
    with write_session() as session:
        return records.create(session, actor, "account", {"name": "Acme", **values})


def test_an_added_value_is_offered_once_whatever_its_case(any_cast):
    root = any_cast["root"]
    with write_session() as session:
        assert pick_lists.add(session, root, "account", "industry", " Medical ") == "Medical"
        assert pick_lists.add(session, root, "account", "industry", "MEDICAL") == "Medical"
        assert "Medical" in registry(session, "account")["industry"].options
    assert account(root, industry="medical").industry == "Medical"


def test_a_renamed_value_is_renamed_in_the_records(any_cast):
    root = any_cast["root"]
    with write_session() as session:
        custom_fields.create(session, root, "account", label="Tier", kind="choice", options=["Gold", "Silver"])
    acme = account(root, industry="Retail", x_tier="Gold")
    with write_session() as session:
        assert pick_lists.rename(session, root, "account", "industry", "Retail", "Retail & e-commerce") == 1
        assert pick_lists.rename(session, root, "account", "x_tier", "Gold", "Platinum") == 1
    with read_session() as session:
        now = records.get(session, root, "account", acme.id)
        assert (now.industry, now.extra["x_tier"]) == ("Retail & e-commerce", "Platinum")
        assert now.version == acme.version + 2
        assert list(registry(session, "account")["x_tier"].options) == ["Platinum", "Silver"]


def test_a_value_out_of_use_stays_in_the_records_and_is_counted(cast):
    root = cast["root"]
    acme = account(root, industry="Retail")
    with write_session() as session:
        pick_lists.deactivate(session, root, "account", "industry", "Retail")
        assert "Retail" not in registry(session, "account")["industry"].options
        assert records.get(session, root, "account", acme.id).industry == "Retail"
        shown = {value.value: value for value in pick_lists.values(session, root, "account", "industry")}
    assert shown["Retail"].used == 1 and not shown["Retail"].active
    assert shown["Software"].active and shown["Software"].used == 0


def test_of_a_hidden_field_it_is_told_what_is_offered_and_nothing_of_records(cast):
    account(cast["root"], industry="Retail")
    blind = replace(cast["root"], masks=frozenset({("account", "industry")}))
    with read_session() as session:
        known = pick_lists.values(session, cast["root"], "account", "industry")
        told = pick_lists.values(session, blind, "account", "industry")
    assert {one.used for one in told} == {None} and {one.value for one in told} == {one.value for one in known}
    assert sum(one.used for one in known) == 1


def test_bad_changes_are_refused_with_a_sentence(cast):
    root = cast["root"]
    with write_session() as session:
        custom_fields.create(session, root, "account", label="Tier", kind="choice", options=["Gold"])
    with write_session() as session:
        with pytest.raises(Conflict):
            pick_lists.rename(session, root, "account", "industry", "Retail", "software")
        with pytest.raises(NotFound):
            pick_lists.rename(session, root, "account", "industry", "Nothing", "Something")
        with pytest.raises(NotFound):
            pick_lists.add(session, root, "account", "city", "Oslo")
        with pytest.raises(Invalid):
            pick_lists.add(session, root, "account", "industry", "\x00 ")
        with pytest.raises(Invalid):
            pick_lists.deactivate(session, root, "account", "x_tier", "Gold")
        with pytest.raises(NotPermitted):
            pick_lists.add(session, cast["bob"], "account", "industry", "Medical")
