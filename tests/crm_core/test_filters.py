"""The filter grammar: SQL and Python agree on random rows; what is wrong is said."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select
from sqlmodel import select as pick

from crm_core import filters, records
from crm_core.access import visible
from crm_core.db import read_session, write_session
from crm_core.entities import entity
from crm_core.errors import Invalid
from crm_core.filters import Context, bind, predicate, relative_day, to_sql
from crm_core.models import Account, Deal, Pipeline, Stage
from crm_core.vocabulary import StageKind

TEXT = st.text(alphabet="aAbBzZÄäßéÉ %_\\'\"1", max_size=6)
NAMES = st.text(alphabet="aAbBÄäéÉ %_\\'", min_size=1, max_size=6).filter(lambda text: text.strip())
DAYS = st.dates(date(2025, 1, 1), date(2025, 12, 31))
ROW = st.fixed_dictionaries(
    {
        "name": NAMES,
        "next_step": st.none() | TEXT,
        "amount_minor": st.integers(0, 5),
        "expected_close_on": st.none() | DAYS,
        "last_activity_at": st.none() | st.datetimes(datetime(2025, 3, 29), datetime(2025, 3, 31), timezones=st.just(UTC)),
        "amount_locked": st.booleans(),
        "source": st.none() | st.sampled_from(["Web", "web", "Fair"]),
        "x_size": st.none() | st.integers(-3, 3),
        "x_since": st.none() | DAYS,
        "x_kind": st.none() | st.sampled_from(["A", "b", ""]),
    }
)


def leaf():
    text_cmp = st.sampled_from(["eq", "ne", "contains", "not_contains", "starts", "ends"])
    order = st.sampled_from(["eq", "ne", "lt", "le", "gt", "ge"])
    return st.one_of(
        st.tuples(
            st.sampled_from(["name", "next_step"]),
            text_cmp,
            st.text(alphabet="aAbÄä%_\\", min_size=1, max_size=3).filter(str.strip),
        ),
        st.tuples(
            st.sampled_from(["name", "next_step", "expected_close_on", "x_size", "x_since", "x_kind", "source"]),
            st.sampled_from(["empty", "not_empty"]),
            st.none(),
        ),
        st.tuples(
            st.just("source"),
            st.sampled_from(["in", "not_in"]),
            st.lists(st.sampled_from(["web", "fair", "x"]), min_size=1, max_size=2),
        ),
        st.tuples(st.just("x_kind"), st.sampled_from(["eq", "ne"]), st.sampled_from(["a", "B"])),
        st.tuples(st.sampled_from(["amount_minor", "x_size"]), order, st.integers(0, 3)),
        st.tuples(st.just("amount_locked"), st.sampled_from(["eq", "ne"]), st.booleans()),
        st.tuples(st.sampled_from(["expected_close_on", "x_since"]), order, DAYS.map(date.isoformat)),
        st.tuples(
            st.just("last_activity_at"),
            order,
            st.sampled_from(["2025-03-29", "2025-03-30", "2025-03-30T01:30:00+01:00", "today", "-1d"]),
        ),
    ).map(lambda parts: {"field": parts[0], "cmp": parts[1], **({"value": parts[2]} if parts[2] is not None else {})})


TREE = st.recursive(
    leaf(),
    lambda inner: st.fixed_dictionaries({"op": st.sampled_from(["and", "or", "not"]), "items": st.lists(inner, max_size=3)}),
    max_leaves=6,
)


@pytest.fixture
def world(any_cast):
    from crm_core.models import CustomField
    from crm_core.vocabulary import FieldKind

    with write_session() as session:
        for key, kind in (("x_size", FieldKind.INTEGER), ("x_since", FieldKind.DATE), ("x_kind", FieldKind.TEXT)):
            session.add(CustomField(entity="deal", key=key, label=key, kind=kind))
        stage = session.exec(pick(Stage).join(Pipeline).where(Stage.kind == StageKind.OPEN)).first()
    return any_cast["root"], stage


def fill(rows, stage):
    with write_session() as session:
        session.execute(Deal.__table__.delete())
        for row in rows:
            extra = {key: filters.to_json(value) for key, value in row.items() if key.startswith("x_")}
            own = {key: value for key, value in row.items() if not key.startswith("x_")}
            session.add(
                Deal(
                    **own,
                    extra=extra,
                    pipeline_id=stage.pipeline_id,
                    stage_id=stage.id,
                    created_on=date(2025, 1, 1),
                    stage_since=datetime(2025, 1, 1, tzinfo=UTC),
                )
            )


@pytest.mark.parametrize("zone", ["UTC", "Europe/Berlin", "America/New_York"])
def test_sql_and_python_agree_on_random_rows(world, zone):
    from dataclasses import replace

    root, stage = world
    actor = replace(root, timezone=zone)
    context = Context(actor, datetime(2025, 3, 31, 12, tzinfo=UTC))

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(st.lists(ROW, min_size=1, max_size=8), st.lists(TREE, min_size=1, max_size=6))
    def check(rows, trees):
        fill(rows, stage)
        table = entity("deal").table
        with read_session() as session:
            stored = [
                {
                    **{k: getattr(d, k) for k in ROW_KEYS},
                    **{k: (date.fromisoformat(v) if k == "x_since" and v else v) for k, v in d.extra.items()},
                    "id": d.id,
                }
                for d in session.exec(pick(Deal))
            ]
            for tree in trees:
                node = bind(session, "deal", tree, context)
                in_sql = set(session.execute(select(table.c.id).where(to_sql(node, table, actor))).scalars())
                matches = predicate(node)
                assert in_sql == {row["id"] for row in stored if matches(row)}, tree

    check()


ROW_KEYS = ("name", "next_step", "amount_minor", "expected_close_on", "last_activity_at", "amount_locked", "source")


def test_counts_over_children_agree_and_see_only_what_the_actor_sees(any_cast):
    root, charlie = any_cast["root"], any_cast["charlie"]
    with write_session() as session:
        for n in range(4):
            account = records.create(session, root, "account", {"name": f"A{n}"})
            for k in range(n):
                records.create(
                    session,
                    root,
                    "task",
                    {"subject": "x", "account_id": account.id, "owner_id": root.user_id if k % 2 else charlie.user_id},
                )
    table = entity("account").table
    for actor in (root, charlie):
        for agg in ({"cmp": "ge", "value": 2}, {"cmp": "eq", "value": 0}, {"cmp": "lt", "value": 2}, {"cmp": "ne", "value": 1}):
            ast = {"agg": "count", "rel": "tasks", **agg}
            with read_session() as session:
                node = bind(session, "account", ast, Context(actor))
                found = set(session.execute(select(table.c.id).where(to_sql(node, table, actor))).scalars())
                tasks = entity("task").table
                seen = session.execute(select(tasks.c.account_id).where(visible(actor, "task", tasks))).scalars().all()
                matches = predicate(node, lambda row, _node, seen=seen: [{"id": 1} for a in seen if a == row["id"]])
                everyone = [{"id": a.id} for a in session.exec(pick(Account))]
                assert found == {row["id"] for row in everyone if matches(row)}, (actor.name, agg)


def test_a_field_behind_a_reference_filters(any_cast):
    root = any_cast["root"]
    with write_session() as session:
        account = records.create(session, root, "account", {"name": "Acme", "industry": "Retail"})
        records.create(session, root, "contact", {"name": "With", "account_id": account.id})
        records.create(session, root, "contact", {"name": "Without"})
    table = entity("contact").table

    def names(cmp, value=None):
        with read_session() as session:
            clause = filters.where(session, "contact", {"field": "account.industry", "cmp": cmp, "value": value}, root)
            return set(session.execute(select(table.c.name).where(clause)).scalars())

    assert names("eq", "retail") == {"With"}
    assert names("ne", "retail") == {"Without"}
    assert names("empty") == {"Without"}


@pytest.mark.parametrize(
    "ast",
    [
        {"field": "nope", "cmp": "eq", "value": 1},
        {"field": "name", "cmp": "lt", "value": 1},
        {"field": "amount_minor", "cmp": "eq", "value": "many"},
        {"field": "expected_close_on", "cmp": "eq", "value": "2025-02-31"},
        {"field": "amount_minor", "cmp": "between", "value": [1]},
        {"op": "xor", "items": []},
        {"op": "and", "items": "no"},
        {"agg": "count", "rel": "moons", "cmp": "eq", "value": 1},
        {"agg": "count", "rel": "orders", "cmp": "eq", "value": "many"},
        ["and"],
        "drop table",
    ],
)
def test_a_wrong_filter_gets_a_sentence(cast, ast):
    with read_session() as session, pytest.raises(Invalid) as caught:
        bind(session, "deal", ast, Context(cast["root"]))
    assert len(caught.value.message) > 10


def test_a_bottomless_filter_is_refused(cast):
    ast = {"field": "name", "cmp": "eq", "value": "x"}
    for _ in range(50):
        ast = {"op": "and", "items": [ast]}
    with read_session() as session, pytest.raises(Invalid, match="too deeply"):
        bind(session, "deal", ast, Context(cast["root"]))


def test_a_masked_field_can_not_be_filtered_by(cast):
    with read_session() as session, pytest.raises(Invalid, match="hidden from your role"):
        bind(session, "contact", {"field": "email", "cmp": "contains", "value": "@"}, Context(cast["ana"]))
    with read_session() as session, pytest.raises(Invalid, match="hidden from your role"):
        bind(session, "deal", {"field": "contact.name", "cmp": "eq", "value": "x"}, Context(cast["ana"]))


def test_relative_days():
    today = date(2025, 3, 31)
    assert relative_day("-1m", today) == date(2025, 2, 28)
    assert relative_day("start_of_quarter", today) == date(2025, 1, 1)
    assert relative_day("start_of_week", today) == today - timedelta(days=today.weekday())
    assert relative_day("start_of_week", today, 6) == date(2025, 3, 30) and relative_day(
        "start_of_week", date(2025, 3, 30), 6
    ) == date(2025, 3, 30)
    assert relative_day("+1y", date(2024, 2, 29)) == date(2025, 2, 28)
    assert relative_day("soon", today) is None
