"""Custom fields: typed, filterable, indexed on both databases; a field out of use keeps what was entered."""

import pytest
from sqlalchemy import text

from crm_core import lists, records
from crm_core.access import load
from crm_core.db import is_sqlite, read_session, write_session
from crm_core.errors import Conflict, Invalid, NotFound, NotPermitted
from crm_core.fields import registry
from crm_core.lists import ListQuery
from crm_core.services.admin import custom_fields
from crm_core.vocabulary import FieldKind


def add(actor, label, kind, **options):
    with write_session() as session:
        return custom_fields.create(session, actor, "contact", label=label, kind=kind, **options)


def indexes(session):
    if is_sqlite(session):
        return set(session.execute(text("select name from sqlite_master where type='index' and name like 'ix_x_%'")).scalars())
    return set(session.execute(text("select indexname from pg_indexes where indexname like 'ix_x_%'")).scalars())


def person(actor, name, **values):
    with write_session() as session:
        return records.create(session, actor, "contact", {"name": name, **values})


def found(actor, **leaf):
    with read_session() as session:
        return lists.count(session, actor, "contact", ListQuery(filter={"op": "and", "items": [leaf]}))


VALUES = [
    (FieldKind.TEXT, "Lyon ", "lyon", "Lyon"),
    (FieldKind.INTEGER, "1957", 1957, 1957),
    (FieldKind.DECIMAL, "2.5", 2.5, 2.5),
    (FieldKind.MONEY, "66666600.25", "66666600.25", 6_666_660_025),
    (FieldKind.BOOLEAN, "yes", True, True),
    (FieldKind.DATE, "2014-06-29", "2014-06-29", "2014-06-29"),
    (FieldKind.CHOICE, "phd", "PhD", "PhD"),
    (FieldKind.EMAIL, "a@example.com", "a@example.com", "a@example.com"),
]


@pytest.mark.parametrize(("kind", "raw", "asked", "stored"), VALUES, ids=[kind.value for kind, *_ in VALUES])
def test_a_value_of_every_kind_is_stored_typed_and_found_by_a_filter(any_cast, kind, raw, asked, stored):
    root = any_cast["root"]
    field = add(root, "Education level", kind, options=["Basic", "PhD"])
    assert field.key == "x_education_level"
    assert person(root, "Ann", x_education_level=raw).extra == {"x_education_level": stored}
    person(root, "Ben")
    assert found(root, field=field.key, cmp="eq", value=asked) == 1
    assert found(root, field=field.key, cmp="empty") == 1
    with read_session() as session:
        page = lists.find(session, root, "contact", ListQuery(columns=("name", field.key), sort=(field.key, False)))
    assert [row["name"] for row in page.rows] == ["Ann", "Ben"]


def test_a_filterable_field_has_an_index_that_the_planner_uses(any_cast):
    root = any_cast["root"]
    field = add(root, "Income", FieldKind.INTEGER)
    for n in range(40):
        person(root, f"P{n}", x_income=n)
    with write_session() as session:
        spec = registry(session, "contact")[field.key]
        table = lists.entity("contact").table
        query = lists.select(table.c.id).where(spec.expression(table) == 7)
        statement = query.compile(session.get_bind(), compile_kwargs={"literal_binds": True}).string
        if not is_sqlite(session):
            session.execute(text("set local enable_seqscan = off"))
        explain = "explain query plan " if is_sqlite(session) else "explain "
        plan = " ".join(str(row) for row in session.connection().exec_driver_sql(explain + statement.replace("%", "%%")).all())
    assert "ix_x_contact_x_income" in plan


def test_the_index_comes_and_goes_with_the_use_of_the_field(any_cast):
    root = any_cast["root"]
    field = add(root, "Income", FieldKind.MONEY)
    name = "ix_x_contact_x_income"
    steps = [
        (lambda s: None, True),
        (lambda s: custom_fields.deactivate(s, root, field.id), False),
        (lambda s: custom_fields.activate(s, root, field.id), True),
        (lambda s: custom_fields.update(s, root, field.id, {"filterable": False}), False),
        (lambda s: custom_fields.update(s, root, field.id, {"filterable": True}), True),
    ]
    for step, expected in steps:
        with write_session() as session:
            step(session)
            assert (name in indexes(session)) is expected


def test_a_field_out_of_use_is_hidden_and_keeps_its_values(cast):
    root = cast["root"]
    field = add(root, "Hobby", FieldKind.TEXT)
    ann = person(root, "Ann", x_hobby="Chess")
    with write_session() as session:
        custom_fields.deactivate(session, root, field.id)
        assert field.key not in registry(session, "contact")
    with pytest.raises(Invalid), write_session() as session:
        records.update(session, root, "contact", ann.id, {"x_hobby": "Go"})
    with write_session() as session:
        custom_fields.activate(session, root, field.id)
        assert records.get(session, root, "contact", ann.id).extra == {"x_hobby": "Chess"}
        assert custom_fields.filled(session, root, field.id) == 1


def test_a_new_label_keeps_the_key_and_an_old_key_is_never_given_again(cast):
    root = cast["root"]
    field = add(root, "Größe (cm)", FieldKind.INTEGER)
    assert field.key == "x_grosse_cm"
    with write_session() as session:
        custom_fields.update(session, root, field.id, {"label": "Height"})
        custom_fields.deactivate(session, root, field.id)
    assert add(root, "Größe (cm)", FieldKind.TEXT).key == "x_grosse_cm_2"
    assert add(root, "身長", FieldKind.TEXT).key == "x_field"


def test_two_fields_of_one_name_are_refused_also_beside_a_built_in_one(cast):
    root = cast["root"]
    add(root, "Hobby", FieldKind.TEXT)
    for label in ("hobby ", "E-mail", "", "x" * 121):
        with pytest.raises(Invalid) as caught:
            add(root, label, FieldKind.TEXT)
        assert set(caught.value.fields) == {"label"}


@pytest.mark.parametrize("options", [[], ["", "  "], ["x" * 121], [str(n) for n in range(501)]])
def test_a_list_needs_fitting_values(cast, options):
    with pytest.raises(Invalid):
        add(cast["root"], "Hobby", FieldKind.CHOICE, options=options)


def test_kind_and_key_can_not_be_changed_and_a_link_is_no_custom_field(cast):
    root = cast["root"]
    field = add(root, "Hobby", FieldKind.TEXT)
    with pytest.raises(Invalid), write_session() as session:
        custom_fields.update(session, root, field.id, {"kind": "integer"})
    with pytest.raises(Invalid):
        add(root, "Friend", FieldKind.REFERENCE)
    with pytest.raises(Invalid), write_session() as session:
        custom_fields.create(session, root, "user", label="Hobby", kind=FieldKind.TEXT)


def test_a_stale_form_conflicts_and_a_missing_field_is_not_found(cast):
    root = cast["root"]
    field = add(root, "Hobby", FieldKind.TEXT)
    with write_session() as session:
        custom_fields.update(session, root, field.id, {"help": "What they like"}, base_version=field.version)
    with pytest.raises(Conflict), write_session() as session:
        custom_fields.update(session, root, field.id, {"help": "…"}, base_version=field.version)
    with pytest.raises(NotFound), write_session() as session:
        custom_fields.deactivate(session, root, 999)


def test_order_is_kept(cast):
    root = cast["root"]
    made = [add(root, label, FieldKind.TEXT) for label in ("A1", "B1", "C1")]
    with write_session() as session:
        custom_fields.reorder(session, root, "contact", [made[2].id, made[0].id])
        assert [row.label for row in custom_fields.find(session, root, "contact")] == ["C1", "A1", "B1"]
        custom = [spec.label for spec in registry(session, "contact").values() if spec.custom]
        assert custom == ["C1", "A1", "B1"]


@pytest.mark.parametrize("who", ["bob", "alice", "dana", "sam", "ana"])
def test_only_administrators_add_fields(cast, who):
    with pytest.raises(NotPermitted):
        add(cast[who], "Hobby", FieldKind.TEXT)


def test_a_personal_field_is_hidden_from_roles_that_must_not_see_personal_data(cast):
    root = cast["root"]
    add(root, "Income", FieldKind.MONEY, pii=True)
    hobby = add(root, "Hobby", FieldKind.TEXT)

    def hidden():
        with read_session() as session:
            ana, dana = load(session, cast["ana"].user_id), load(session, cast["dana"].user_id)
        return [key for key in ("x_income", "x_hobby") if ana.masked("contact", key)], dana.masked("contact", "x_income")

    assert hidden() == (["x_income"], False)
    with write_session() as session:
        custom_fields.update(session, root, hobby.id, {"pii": True})
    assert hidden() == (["x_income", "x_hobby"], False)
    person(root, "Ann", x_income=7)
    with read_session() as session:
        shown = lists.find(session, load(session, cast["ana"].user_id), "contact", ListQuery(columns=("x_income",))).rows
    assert shown[0]["x_income"] == lists.MASK


def test_a_filter_by_a_field_out_of_use_names_it(cast):
    field = add(cast["root"], "Education", FieldKind.TEXT)
    with write_session() as session:
        custom_fields.deactivate(session, cast["root"], field.id)
    with pytest.raises(Invalid, match="The field “Education” is out of use"):
        found(cast["root"], field=field.key, cmp="eq", value="PhD")
