"""The REST API over HTTP: who gets in, what they see, versions, requests sent twice, many at once, hostile input."""

import re
import threading
import time
from datetime import timedelta

import pytest
from sqlmodel import select

from crm_core import reads
from crm_core.access import visible
from crm_core.db import read_session, write_session
from crm_core.entities import ENTITIES, RECORDS
from crm_core.kit import clock
from crm_core.models import Account, ApiCall, ApiKey, CustomField, Deal, Event
from crm_core.services import crud
from crm_core.services.admin import api_key_rules, api_keys, personal_reads, upkeep
from crm_core.services.admin.pipelines import set_gate
from crm_core.services.sales import deals
from crm_core.settings import settings
from crm_core.vocabulary import Action, FieldKind, ReadWay, StageKind, Via
from tests.verbs import look
from tests.web.conftest import visitor
from web.api import pace
from web.api.records import path_of

ALL = api_key_rules.SCOPES


@pytest.fixture(autouse=True)
def fresh_pace():
    pace.COUNTER.clear()
    pace.EVERYWHERE.clear()
    yield


def key_of(actor, scopes=ALL, **more):
    with write_session() as session:
        return api_keys.create(session, actor, name="Test", scopes=scopes, **more)


class Program:
    """Somebody with a key."""

    def __init__(self, actor, scopes=ALL):
        self.key_id, self.key = key_of(actor, scopes)
        self.browser = visitor()

    def __call__(self, method, path, body=None, **headers):
        found = {"authorization": f"Bearer {self.key}"} | {name.replace("_", "-"): value for name, value in headers.items()}
        return self.browser.request(method, f"/api/v1{path}", json=body, headers=found)


@pytest.fixture
def alice(cast):
    return Program(cast["alice"])


# --- who gets in ------------------------------------------------------------------------------------------------------------------


def test_without_a_key_that_works_nobody_comes_in_and_all_refusals_look_alike(cast, guest):
    key_id, key = key_of(cast["alice"])
    _, short = key_of(cast["alice"], days=1)
    _, gone = key_of(cast["charlie"])
    with read_session() as session:
        kept = session.get(ApiKey, key_id)
        assert key not in str(kept.model_dump()) and kept.prefix == key[:12] and kept.sha256 == api_key_rules.digest(key)
    ask = lambda text: guest.get("/api/v1/me", headers={"authorization": text.encode("latin-1")} if text else {})  # noqa: E731
    assert ask(f"Bearer {key}").json()["user_id"] == cast["alice"].user_id
    with write_session() as session:
        api_keys.revoke(session, cast["alice"], key_id)
        api_keys.revoke(session, cast["alice"], key_id)
        session.exec(select(ApiKey).where(ApiKey.sha256 == api_key_rules.digest(short))).one().expires_at = clock.utcnow()
        session.get(ENTITIES["user"].model, cast["charlie"].user_id).is_active = False
    refused = [
        ask(text) for text in (f"Bearer {key}", f"Bearer {short}", f"Bearer {gone}", "Bearer rap_x", "Bearer é", "Basic YTpi")
    ]
    assert {answer.status_code for answer in refused} == {401}
    assert len({answer.json()["detail"] for answer in refused[:4]}) == 1
    assert refused[0].headers["content-type"] == "application/problem+json" and "Bearer" in refused[0].headers["www-authenticate"]
    assert guest.get("/api/v1/docs").status_code == guest.get("/api/v1/deals").status_code == guest.get("/api/x").status_code == 401
    guest.sign_in("alice")
    assert guest.get("/api/v1/deals").status_code == 401, "a browser's session opens the documentation and nothing else"
    assert "OpenAPI" in guest.get("/api/v1/docs").text and "https://cdn" not in guest.get("/api/v1/docs").text


def test_one_sees_ones_own_keys_and_only_an_administrator_takes_others_back(cast):
    key_id, _ = key_of(cast["alice"])
    with write_session() as session:
        assert [row.id for row in api_keys.find(session, cast["alice"])] == [key_id]
        assert api_keys.find(session, cast["charlie"]) == []
        for call in (
            lambda: api_keys.find(session, cast["charlie"], mine=False),
            lambda: api_keys.revoke(session, cast["charlie"], key_id),
            lambda: api_keys.calls(session, cast["alice"]),
            lambda: api_keys.create(session, cast["alice"], name="x", scopes=ALL, user_id=cast["root"].user_id),
        ):
            with pytest.raises(Exception, match=r"allow|exist"):
                call()
        for wrong in ({"name": " "}, {"scopes": []}, {"scopes": ["sales:all"]}, {"days": 0}):
            with pytest.raises(Exception, match=r"key|reach|days"):
                api_keys.create(session, cast["alice"], **{"name": "x", "scopes": ALL, **wrong})
        api_keys.revoke(session, cast["root"], key_id)
        row = api_keys.find(session, cast["root"], mine=False)[0]
        assert (row.state, row.who) == ("revoked", "Alice Rep")
        types = list(session.exec(select(Event.type).where(Event.entity == "integration")))
        assert types == ["api_key.made", "api_key.revoked"]


def test_a_key_reaches_no_more_than_its_scopes(cast):
    reader = Program(cast["root"], ["sales:read"])
    assert reader("GET", "/deals").status_code == 200
    assert reader("POST", "/deals", {"name": "D"}).status_code == 403
    assert reader("GET", "/accounts").status_code == reader("GET", "/fields/account").status_code == 403
    far = '{"field": "account.name", "cmp": "eq", "value": "x"}'
    assert reader("GET", "/search?q=x").json() == {"items": []} and reader("GET", f"/deals?filter={far}").status_code in (200, 422)
    assert set(reader("GET", "/me").json()["may"]) == {"lead", "deal", "product", "order"}


def test_the_pace_is_told_and_kept(alice, setting, monkeypatch):
    setting("API_PER_MINUTE", "2")
    monkeypatch.setattr(pace.COUNTER, "clock", lambda: 6010.0)
    first = alice("GET", "/me")
    assert (first.headers["ratelimit-policy"], first.headers["ratelimit"]) == ('"minute";q=2;w=60', '"minute";r=1;t=51')
    alice("GET", "/me")
    over = alice("GET", "/me")
    assert over.status_code == 429 and over.headers["retry-after"] == "51" and over.json()["code"] == "too_many"
    assert pace.COUNTER.count("x", 1, now=0.0).left == 0 and pace.COUNTER.count("x", 1, now=59.0).over
    assert pace.COUNTER.count("x", 1, now=60.0).left == 0
    assert pace.of_stranger("2001:db8::1").left - pace.of_stranger("2001:db8::ffff:2").left == 1, "one subscriber is one stranger"
    assert (
        pace.of_stranger("192.0.2.1").left == pace.of_stranger("::ffff:192.0.2.2").left > pace.of_stranger("::ffff:192.0.2.1").left
    )
    crowd, began = pace.Counter(), time.process_time()
    for n in range(13_000):
        crowd.count(str(n), 9, now=0.0)
    assert time.process_time() - began < 1.0 and crowd.count("0", 9, now=59.0).left == 7
    assert len({path_of(key) for key in RECORDS}) == len(RECORDS) and all(re.fullmatch("[a-z_]+", path_of(key)) for key in RECORDS)


def test_a_process_asks_the_others_each_second_and_near_the_limit_and_whoever_waits_as_told_gets_through(monkeypatch):
    here, said, asked = pace.Everywhere(), {"noted": 0, "rest": 30.0}, []

    def answer(session, key_id):
        asked.append(key_id)
        return said["noted"], said["rest"]

    monkeypatch.setattr(pace.api_door, "asked", answer)
    count = lambda now: here.count(None, 7, 40, now=now)  # noqa: E731
    assert [count(0.0).left for _ in range(10)] == list(range(39, 29, -1)) and len(asked) == 1
    for _ in range(8):
        here.done(7)
    said["noted"] = 28  # eight of ours, twenty of others; two of ours are under way
    assert count(1.5).left == 40 - 20 - 10 - 1 and len(asked) == 2
    assert [count(1.6).left for _ in range(9)] == list(range(8, -1, -1)) and len(asked) == 4, "near the limit with each"
    over = count(1.7)
    assert over.over and over.seconds == 29 and over.headers()["retry-after"] == "29"
    asks = len(asked)
    assert count(1.8).over and len(asked) == asks, "who knocks on and on costs no query"
    said |= {"noted": 0, "rest": 60.0}
    assert count(1.7 + over.seconds).left == 39


@pytest.mark.postgres
def test_replicas_on_postgresql_share_the_pace_of_a_key(any_cast, setting):
    setting("API_PER_MINUTE", "40")
    program, here, there = Program(any_cast["root"]), pace.Everywhere(), pace.Everywhere()
    if time.time() % 60 > 55:
        time.sleep(6)  # all of it within one minute
    assert program("GET", "/me").status_code == 200
    with write_session() as session:
        session.execute(
            ApiCall.__table__.insert(),
            [{"at": clock.utcnow(), "key_id": program.key_id, "method": "GET", "path": "/x", "status": 200, "ms": 1}] * 38,
        )
    with read_session() as session:
        assert here.count(session, program.key_id, 40).left == 0 and there.count(session, program.key_id, 40).left == 0
        assert here.count(session, program.key_id, 40).over and 1 <= there.count(session, program.key_id, 40).seconds <= 60
    pace.COUNTER.clear()
    pace.EVERYWHERE.clear()
    alone = settings().is_sqlite  # one process, which counts for itself
    assert [program("GET", "/me").status_code for _ in range(3)] == ([200] * 3 if alone else [200, 429, 429])


def test_requests_are_noted_without_their_words_and_purged(alice, cast):
    alice("GET", "/deals?q=secret")
    alice("POST", "/deals", {"name": "secret"})
    with write_session() as session:
        rows, total = api_keys.calls(session, cast["root"])
        assert total == 2 and [(row.method, row.path, row.status) for row in rows] == [
            ("POST", "/api/v1/deals", 201),
            ("GET", "/api/v1/deals", 200),
        ]
        assert (
            api_keys.find(session, cast["alice"])[0].last_used_at is not None
            and api_keys.find(session, cast["alice"])[0].calls == 2
        )
    with clock.frozen(clock.utcnow() + timedelta(days=31)), write_session() as session:
        for statement in upkeep.api_door.stale():
            session.execute(statement)
    with read_session() as session:
        assert session.exec(select(ApiCall)).all() == []


def test_other_sites_get_no_headers_unless_the_setting_names_them(alice, setting):
    preflight = lambda: alice("OPTIONS", "/deals", origin="https://shop.example", access_control_request_method="GET")  # noqa: E731
    assert "access-control-allow-origin" not in preflight().headers and preflight().status_code == 405
    setting("API_CORS_ORIGINS", "https://shop.example")
    assert preflight().headers["access-control-allow-origin"] == "https://shop.example"
    assert "access-control-allow-origin" not in alice("GET", "/me", origin="https://evil.example").headers


# --- what one sees ----------------------------------------------------------------------------------------------------------------


def test_every_role_sees_through_the_api_exactly_what_is_visible_to_it(cast):
    with write_session() as session:
        system = cast["root"]
        people = [actor.user_id for actor in cast.values()]
        for owner in people:
            for key in ("account", "contact", "lead", "deal", "order", "ticket", "campaign", "task", "activity"):
                title = ENTITIES[key].title
                given = {"owner_id": owner, **({} if key == "order" else {title: f"{key} {owner}"})}
                crud.create(session, system, key, given | ({"kind": "note", "at": clock.utcnow()} if key == "activity" else {}))
        crud.create(session, system, "product", {"name": "P"})
    for actor in cast.values():
        program = Program(actor)
        for key in RECORDS:
            path = f"/{ENTITIES[key].address}"
            with read_session() as session:
                table = ENTITIES[key].table
                expected = set(session.execute(select(table.c.id).where(visible(actor, key, table))).scalars())
                everything = set(session.execute(select(table.c.id)).scalars())
            answer = program("GET", f"{path}?limit=200&total=true")
            if not actor.can(key, Action.READ):
                assert answer.status_code == 403
                continue
            assert {row["id"] for row in answer.json()["items"]} == expected and answer.json()["total"] == len(expected)
            for hidden in sorted(everything - expected)[:1]:
                missing = [program(*ask) for ask in (("GET", f"{path}/{hidden}"), ("GET", f"{path}/999999"))]
                assert [one.status_code for one in missing] == [404, 404] and missing[0].json() == missing[1].json()
                change = program("PATCH", f"{path}/{hidden}", {}, if_match="*")
                assert change.status_code in (403, 404) and (change.status_code == 404) == actor.can(key, Action.EDIT)
        if actor.masks:
            row = program("GET", "/contacts?limit=1").json()["items"][0]
            assert set(row["masked"]) == {"name", "email", "phone", "birthday"} and row["name"] is None
            assert program("GET", "/contacts?sort=name").status_code == 422


def test_own_fields_money_instants_and_errors_name_the_field(alice, cast):
    with write_session() as session:
        session.add(CustomField(entity="deal", key="x_floor", label="Floor", kind=FieldKind.INTEGER))
    made = alice("POST", "/deals", {"name": "D", "amount_minor": 12345, "x_floor": 3, "expected_close_on": "2026-12-31"}).json()
    assert (made["amount_minor"], made["currency"], made["x_floor"], made["expected_close_on"]) == (12345, "USD", 3, "2026-12-31")
    assert made["created_at"].endswith("Z") and made["names"]["owner_id"] == "Alice Rep"
    wrong = alice(
        "POST",
        "/deals",
        {"name": 5, "amount_minor": "12.50", "x_floor": "x", "expected_close_on": "31.12.", "color": 1, "outcome": "won"},
    )
    assert wrong.status_code == 422 and {one["field"] for one in wrong.json()["errors"]} == {
        "name",
        "amount_minor",
        "x_floor",
        "expected_close_on",
        "color",
        "outcome",
    }
    assert "minor units" in wrong.text
    with read_session() as session:
        event = session.exec(select(Event).where(Event.type == "deal.created")).one()
        assert (event.via, event.actor_id) == (Via.API, cast["alice"].user_id)
    assert "x_floor" in {one["key"] for one in alice("GET", "/fields/deal").json()["items"]}
    assert alice("GET", "/deals?fields=name,x_floor").json()["items"][0].keys() == {
        "id",
        "version",
        "name",
        "x_floor",
        "names",
        "masked",
    }
    assert [one["means"] for one in alice("GET", "/lookups/stage").json()["items"]].count("won") == 1


@pytest.mark.parametrize("sort", ["id", "-id", "amount_minor", "-expected_close_on", "-name", "x_note"])
def test_pages_by_cursor_hold_every_record_once_though_others_come_in_between(alice, sort):
    with write_session() as session:
        session.add(CustomField(entity="deal", key="x_note", label="Note", kind=FieldKind.TEXT))
    some = [
        {
            "name": f"D{n % 3}",
            "amount_minor": n % 2,
            **({"expected_close_on": f"2026-01-0{n % 3 + 1}"} if n % 3 else {}),
            **({"x_note": f"n{n % 2}"} if n % 4 else {}),
        }
        for n in range(11)
    ]
    assert alice("POST", "/deals/batch", {"create": some}).json()["created"] == 11
    seen, cursor = [], ""
    while True:
        page = alice("GET", f"/deals?sort={sort}&limit=3{cursor}").json()
        seen += [row["id"] for row in page["items"]]
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert sorted(seen) == list(range(1, 12))
    assert alice("GET", f"/deals?sort={sort}&limit=200").json()["items"][0]["id"] == seen[0]
    assert alice("GET", f"/deals?sort={sort}&q=D{cursor}").status_code == 422, "the cursor of another list"


def test_filters_have_the_grammar_of_the_lists(alice):
    alice("POST", "/deals/batch", {"create": [{"name": "Big", "amount_minor": 500}, {"name": "Small", "amount_minor": 5}]})
    leaf = {
        "op": "and",
        "items": [{"field": "amount_minor", "cmp": "ge", "value": 100}, {"field": "owner_id", "cmp": "eq", "value": "@me"}],
    }
    found = alice("POST", "/deals/search", {"filter": leaf, "fields": ["name"], "total": True}).json()
    assert [row["name"] for row in found["items"]] == ["Big"] and found["total"] == 1
    for body in (
        {"filter": []},
        {"limit": 0},
        {"limit": True},
        {"colour": 1},
        {"filter": {"field": "nothing"}},
        {"fields": ["nothing"]},
        {"sort": "owner_id"},
    ):
        assert alice("POST", "/deals/search", body).status_code == 422, body
    assert alice("GET", "/search?q=big").json()["items"] == [{"kind": "deal", "id": 1, "title": "Big"}]


# --- versions and requests sent twice ---------------------------------------------------------------------------------------------


def test_a_change_needs_the_version_and_says_what_others_changed(alice, cast):
    alice("POST", "/accounts", {"name": "Acme"})
    assert alice("PATCH", "/accounts/1", {"city": "Bonn"}).status_code == 428
    assert alice("PATCH", "/accounts/1", {"city": "Bonn"}, if_match="v1").status_code == 400
    one = alice("PATCH", "/accounts/1", {"city": "Bonn"}, if_match='"v1"')
    assert one.headers["etag"] == '"v2"' and one.json()["version"] == 2
    late = alice("PATCH", "/accounts/1", {"city": "Rome"}, if_match='"v1"')
    assert (
        late.status_code == 412
        and late.json()["changed"] == [{"field": "city", "then": None, "now": "Bonn"}]
        and late.headers["etag"] == '"v2"'
    )
    assert alice("GET", "/accounts/1", if_none_match='"v2"').status_code == 304
    assert alice("PATCH", "/accounts/1", {"city": "Rome"}, if_match='"v1", "v2"').status_code == 200
    assert alice("PATCH", "/accounts/1", {"city": "Oslo"}, if_match="*").status_code == 200
    assert alice("DELETE", "/accounts/1", if_match="*").status_code == 403
    root = Program(cast["root"])
    assert root("DELETE", "/accounts/1").status_code == 428 and root("DELETE", "/accounts/1", if_match='"v1"').status_code == 412
    assert root("DELETE", "/accounts/1", if_match="*").status_code == 204 and root("GET", "/accounts/1").status_code == 404
    assert [row["id"] for row in root("GET", "/accounts?archived=true").json()["items"]] == [1]
    assert root("POST", "/accounts/1/restore").json()["name"] == "Acme"


def at_once(count, work):
    found, gate = [], threading.Barrier(count)

    def run(n):
        gate.wait()
        found.append(work(n))

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


@pytest.mark.parametrize("any_database", ["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)], indirect=True)
def test_at_the_same_instant_one_change_wins_and_one_thing_happens_once(any_cast):
    alice = Program(any_cast["alice"])
    alice("POST", "/accounts", {"name": "Acme"})
    won = at_once(6, lambda n: alice("PATCH", "/accounts/1", {"city": f"City {n}"}, if_match='"v1"').status_code)
    assert sorted(won) == [200, *[412] * 5]
    made = at_once(6, lambda n: alice("POST", "/deals", {"name": "Once"}, idempotency_key="k-1"))
    assert {answer.status_code for answer in made} <= {201, 409} and any(answer.status_code == 201 for answer in made)
    again = alice("POST", "/deals", {"name": "Once"}, idempotency_key="k-1")
    assert (
        again.status_code == 201
        and again.headers["idempotency-replayed"] == "true"
        and again.headers["location"] == "/api/v1/deals/1"
    )
    with read_session() as session:
        assert len(session.exec(select(Deal)).all()) == 1
    other = alice("POST", "/deals", {"name": "Other"}, idempotency_key="k-1")
    assert other.status_code == 422 and "another request" in other.json()["detail"]
    assert alice("POST", "/deals", {"name": ""}, idempotency_key="k-2").status_code == 422
    assert alice("POST", "/deals", {"name": "Right"}, idempotency_key="k-2").status_code == 201, (
        "what went wrong may be put right under its key"
    )
    assert alice("POST", "/deals", {"name": "x"}, idempotency_key="").status_code == 400
    assert Program(any_cast["charlie"])("POST", "/deals", {"name": "Mine"}, idempotency_key="k-1").status_code == 201, (
        "keys are each program's own"
    )


def test_many_at_once_each_for_itself_or_all_together(alice):
    alice("POST", "/accounts", {"name": "Acme"})
    body = {
        "create": [{"name": "A"}, {"name": ""}, 5],
        "update": [
            {"id": 1, "version": 1, "changes": {"city": "Bonn"}},
            {"id": 99, "changes": {}},
            {"id": 1, "version": 1, "changes": {}},
        ],
    }
    found = alice("POST", "/accounts/batch", body).json()
    assert [one["status"] for one in found["results"]] == [201, 422, 422, 200, 404, 412] and (
        found["created"],
        found["updated"],
        found["failed"],
    ) == (1, 1, 4)
    whole = alice("POST", "/accounts/batch", {"create": [{"name": "B"}, {"name": ""}], "all_or_nothing": True})
    assert whole.status_code == 422 and whole.json()["code"] == "batch_failed"
    with read_session() as session:
        assert sorted(session.exec(select(Account.name))) == ["A", "Acme"]
    for wrong in ({}, {"create": {}}, {"create": [{}] * 101}, {"create": [], "more": 1}):
        assert alice("POST", "/accounts/batch", wrong).status_code == 422


# --- what the business does -------------------------------------------------------------------------------------------------------


def test_business_verbs_go_through_their_services(alice, cast):
    lead = alice("POST", "/leads", {"name": "Ada", "company": "Acme", "email": "ada@example.com"}).json()
    turned = alice("POST", f"/leads/{lead['id']}/convert", {"deal_name": "Big deal", "amount_minor": 900}).json()["result"]
    deal = f"/deals/{turned['deal_id']}"
    assert alice("POST", f"{deal}/activities", {"kind": "call", "text": "Talked", "follow_up": "Send"}).json()["result"][
        "activity_id"
    ]
    yearly = {"name": "Care", "unit_price_minor": 100, "billing": "yearly", "periods": 2, "tax_rate_pct": 19}
    lines = alice(
        "PUT", f"{deal}/lines", {"items": [{"name": "Hours", "quantity": 2, "unit_price_minor": 450}, yearly]}, if_match="*"
    ).json()
    assert (lines["net_minor"], lines["tax_minor"], lines["gross_minor"], lines["arr_minor"], lines["once_minor"]) == (
        1100,
        38,
        1138,
        100,
        900,
    )
    assert alice("PUT", f"{deal}/lines", {"items": [{"name": "x", "periods": 1.5}]}, if_match="*").status_code == 422
    lines = alice("PUT", f"{deal}/lines", {"items": [{"name": "Hours", "quantity": 2, "unit_price_minor": 450}]}, if_match="*")
    assert lines.json()["items"][0]["total_minor"] == 900 and alice("GET", f"{deal}/lines").json()["currency"] == "USD"
    account = f"/accounts/{turned['account_id']}/points"
    points = [
        {"kind": "email", "value": "orders@acme.example", "verified": True},
        {"kind": "phone", "value": "+49 30 1234567", "label": "Desk"},
    ]
    kept = alice("PUT", account, {"items": points}, if_match="*").json()["items"]
    assert [(one["is_primary"], one["verified"], one["label"]) for one in kept] == [(True, True, ""), (True, False, "Desk")]
    assert (
        alice("GET", account).json()["items"] == kept
        and alice("PUT", account, {"items": [{"kind": 1}]}, if_match="*").status_code == 422
    )
    person = f"/contacts/{turned['contact_id']}"
    assert alice("PUT", f"{person}/points", {"items": points}, if_match="*").status_code == 200
    assert alice("PATCH", person, {}, if_match="*").json()["email"] == "orders@acme.example"
    reads.flush()
    looks = look(personal_reads.of_record, cast["root"], "contact", turned["contact_id"])
    assert [(one.who, one.way) for one in looks] == [("Alice Rep", ReadWay.API)], (
        "its addresses, and a change of nothing, are looks"
    )
    stage = next(
        one for one in alice("GET", "/lookups/stage").json()["items"] if one["means"] == "open" and one["probability_pct"] > 10
    )
    assert alice("POST", f"{deal}/move", {"stage_id": stage["id"]}).json()["record"]["stage_id"] == stage["id"]
    assert alice("POST", f"{deal}/lose", {}).json()["errors"][0]["field"] == "reason"
    assert [one["field"] for one in alice("POST", f"{deal}/lose", {"reason": "Price"}).json()["errors"]] == ["competitor"]
    with write_session() as session:
        won = next(one for one in deals.stages(session, cast["root"]) if one.kind is StageKind.WON)
        set_gate(session, cast["root"], won.id, {"field": "description", "cmp": "not_empty"}, message="What comes next?")
    refused, named = alice("POST", f"{deal}/win", {}), [{"field": "stage_id", "message": "What comes next?"}]
    assert (refused.status_code, refused.json()["errors"]) == (422, named)
    assert alice("POST", f"{deal}/win", {"override": "I want to"}).status_code == 403
    assert alice("PATCH", deal, {"description": "Deliver"}, if_match="*").status_code == 200
    assert alice("POST", f"{deal}/win", {"closed_on": "yesterday"}).status_code == 422
    won = alice("POST", f"{deal}/win", {"create_order": True}, if_match='"v1"')
    assert won.status_code == 412
    assert (
        alice("POST", f"{deal}/win", {}).json()["record"]["outcome"] == "won"
        and alice("POST", f"{deal}/win", {}).status_code == 409
    )
    assert alice("GET", "/orders").json()["items"][0]["total_minor"] == 900
    sam = Program(cast["sam"])
    ticket = sam("POST", "/tickets", {"subject": "Broken", "contact_id": turned["contact_id"]}).json()
    there = f"/tickets/{ticket['id']}"
    assert sam("POST", f"{there}/reply", {"body": "Try again", "then": "open"}).json()["result"]["message_id"]
    assert sam("POST", f"{there}/reply", {"body": "x", "then": "nothing"}).status_code == 422
    assert (
        sam("POST", f"{there}/solve").json()["record"]["status"] == "solved" and alice("POST", f"{there}/solve").status_code == 403
    )
    assert [one["direction"] for one in sam("GET", f"{there}/messages").json()["items"]] == ["outbound"]
    dana = Program(cast["dana"])
    campaign = dana("POST", "/campaigns", {"name": "Spring"}).json()["id"]
    add = lambda ids: dana("POST", f"/campaigns/{campaign}/members", {"kind": "contact", "ids": ids})  # noqa: E731
    assert add([turned["contact_id"]]).json()["result"] == {"added": 1, "already_in": 0} and add([12345]).status_code == 404


HOSTILE = [
    b"{", b"[]", b'"x"', b"null", b'{"name": NaN}', b"[" * 50_000, b'{"name": ' + b"9" * 5000 + b"}", b"\xff\xfe", b'{"name": {"a": 1}}', b'{"name": ["x"]}',
    b'{"name": "\\ud800"}', b'{"name": "a\\u0000b", "owner_id": 99999999999999999999}', b'{"owner_id": true, "name": "x"}', b'{"__class__": 1, "id": 7, "version": 9}',
]  # fmt: skip


def test_hostile_bodies_headers_and_addresses_are_refused_in_words(alice):
    send = lambda raw, **more: alice.browser.post(  # noqa: E731
        "/api/v1/accounts",
        content=raw,
        headers={"authorization": f"Bearer {alice.key}", "content-type": "application/json", **more},
    )
    for raw in HOSTILE:
        answer = send(raw)
        assert answer.status_code in (400, 422) and answer.json()["detail"], raw[:40]
    assert send(b"name=x", **{"content-type": "application/x-www-form-urlencoded"}).status_code == 415
    assert send(b'{"name": "' + b"x" * 1_100_000 + b'"}').json()["detail"] == "A request may have 1 MB."
    for path in ("/deals/0", "/deals/-1", "/deals/99999999999", "/deals/x", "/deals?limit=0", "/deals?limit=x", "/deals?cursor=x", "/deals?cursor=W10", "/deals?sort=extra",
                 "/deals?filter=[", "/deals?filter=[1]", '/deals?filter={"field":"name","cmp":"eq","value":"%00"}', "/deals?fields=deleted_at"):  # fmt: skip
        answer = alice("GET", path)
        assert answer.status_code in (400, 404, 422) and answer.json()["status"] == answer.status_code, path
    assert alice("GET", "/deals?q=%00%27%22--").status_code == 200
    assert alice("TRACE", "/deals").status_code == 405 and alice("GET", "/nothing").status_code == 404
    assert alice("PATCH", "/accounts", {}).json()["code"] == "wrong_method"
