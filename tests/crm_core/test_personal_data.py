"""The list of what is held about persons knows every table and every column, and each of its ways leads somewhere."""

import crm_core.models  # noqa: F401
from crm_core.models.base import Base
from crm_core.personal_data import SYSTEM, TABLES, is_text
from crm_core.services.admin.privacy import rows

HERE = "declare it in crm_core/personal_data.py: does it hold data about persons, how does a row lead to the person, what becomes of it when they are erased?"


def columns_of(name):
    return {column.name: column for column in Base.metadata.tables[name].columns if column.name not in SYSTEM}


def test_every_table_is_declared():
    assert sorted(Base.metadata.tables.keys() - TABLES.keys()) == [], HERE
    assert sorted(TABLES.keys() - Base.metadata.tables.keys()) == [], "these tables are gone"


def test_every_column_is_declared():
    for name in TABLES.keys() & Base.metadata.tables.keys():
        assert sorted(columns_of(name).keys() - TABLES[name].columns) == [], f"{name}: {HERE}"
        assert sorted(TABLES[name].columns - columns_of(name).keys()) == [], f"{name}: these columns are gone"


def test_texts_are_looked_through_unless_somebody_said_that_they_are_our_own():
    for name, held in TABLES.items():
        said = [*held.wiped, *held.words, *held.fixed, *held.plain]
        assert len(said) == len(set(said)), f"{name}: a column is declared twice"
        found = columns_of(name)
        assert [key for key in held.plain if is_text(found[key])] == [], f"{name}: texts belong to words, or to fixed"
        assert [key for key in held.words if not is_text(found[key])] == [], f"{name}: only texts hold words"


def test_every_table_says_why():
    assert [name for name, held in TABLES.items() if not held.by and not held.why] == []
    assert [name for name, held in TABLES.items() if held.by and not (held.why or held.gone)] == [], "what stays, and what for?"


def test_whatever_refers_to_a_person_leads_to_them():
    """A reference to a contact or a lead is a way to the person, or the table says that there is nobody in it."""
    for name, held in TABLES.items():
        named = [key for key in ("contact_id", "lead_id") if key in columns_of(name)]
        assert [key for key in named if key not in held.by] == [], f"{name}: the person is not found by it"


def test_every_way_can_be_walked():
    who = rows.Person(contacts=(1,), leads=(2,), emails=("a@b.example",), phones=("+49 30 1234567",))
    for name, held in TABLES.items():
        if held.by and name != "analysis_table":
            assert str(rows.about(name, who)) != "false", name
