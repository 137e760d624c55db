"""Shared pages: what a stranger with a link sees, and what one with a wrong, old, altered or withdrawn link does not."""

from datetime import timedelta
from uuid import uuid4

import pandas as pd
import pytest
from sqlmodel import select

from crm_core.db import read_session, write_session
from crm_core.errors import Invalid, NotFound, NotPermitted
from crm_core.frames.arrow import pack
from crm_core.kit import clock, hashing
from crm_core.models import AnalysisRun, AnalysisTable, Deal, Role, RolePermission, ShareLink, SigninAttempt, Stage, User
from crm_core.services.analytics import dashboard_starts, dashboards, run_keys, sharing
from crm_core.services.analytics.methods import kinds, method
from crm_core.services.analytics.shared_run_sheets import SHEETS
from crm_core.vocabulary import Action, RunState, ShareKind, StageKind
from tests.crm_core.services.analytics.company import NOW, fill
from tests.web.conftest import APP, Visitor
from web import share

SECRET = "Zanzibar & <b>Co"


@pytest.fixture(autouse=True)
def fresh():
    share._seen.clear()
    share._drawn.clear()


@pytest.fixture
def client():
    """Somebody without an account."""
    return Visitor(APP, base_url="http://testserver")


@pytest.fixture
def board(workspace):
    with write_session() as session:
        tiles = dashboard_starts.tiles_for(workspace["bob"], "team")
        return dashboards.create(session, workspace["bob"], name=SECRET, tiles=tiles)


@pytest.fixture
def workspace(cast):
    with clock.frozen(NOW):
        fill(cast, 8, size=120)
    return cast


def make(actor, board, **more):
    with write_session() as session:
        made = sharing.create(session, actor, kind=ShareKind.DASHBOARD, target_id=board, filters={"period": "all"}, **more)
    with read_session() as session:
        return next(link for link in sharing.find(session, actor) if link.id == made)


def test_a_stranger_sees_the_page_and_nothing_but_the_page(client, workspace, board):
    link = make(workspace["bob"], board)
    answer = client.get(f"/s/{link.token}")
    assert answer.status_code == 200
    assert "Zanzibar &amp; &lt;b&gt;Co" in answer.text and "<b>Co" not in answer.text
    assert "<script" not in answer.text and "/deals" not in answer.text
    assert "noindex" in answer.text and "noindex" in answer.headers["x-robots-tag"]
    assert "script-src 'none'" in answer.headers["content-security-policy"]
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert "rapport_session" not in answer.headers.get("set-cookie", "")
    with read_session() as session:
        assert len(sharing.views(session, workspace["bob"], link.id)) == 1


def test_every_dead_link_gives_the_same_answer(client, workspace, board):
    bob = workspace["bob"]
    good = make(bob, board)
    revoked, expired = make(bob, board), make(bob, board)
    with write_session() as session:
        sharing.revoke(session, bob, revoked.id)
        session.get(ShareLink, expired.id).expires_at = clock.utcnow() - timedelta(seconds=1)
    name, _, sign = good.token.partition(".")
    other = make(bob, board).token.partition(".")
    altered = sign[:-1] + ("y" if sign[-1] == "x" else "x")
    tries = [
        revoked.token, expired.token, "x", "", f"{name}.", f"{name}.{altered}", f"{name}x.{sign}", f"{other[0]}.{sign}",
        name, f"{good.token}/x", "é.é", "a" * 500,
    ]  # fmt: skip
    answers = {(client.get(f"/s/{token}").status_code, client.get(f"/s/{token}").text) for token in tries}
    assert len(answers) == 1 and next(iter(answers))[0] == 404
    assert client.get(f"/s/{good.token}").status_code == 200


def test_a_page_that_was_drawn_already_opens_no_more_once_its_link_does_not(client, workspace, board):
    """What was drawn is remembered between visitors: the link itself is asked anew each time."""
    bob = workspace["bob"]
    revoked, expired, locked = make(bob, board), make(bob, board), make(bob, board)
    links = (revoked, expired, locked)
    first = [client.get(f"/s/{link.token}") for link in links]
    assert {answer.status_code for answer in first} == {200} and len(share._drawn) == len(links)
    assert all("no-store" in answer.headers["cache-control"] for answer in first), "no browser or proxy keeps a page of its own"
    with write_session() as session:
        sharing.revoke(session, bob, revoked.id)
        session.get(ShareLink, expired.id).expires_at = clock.utcnow() - timedelta(seconds=1)
        session.get(ShareLink, locked.id).password_hash = hashing.hash_password("open sesame")
    gone, late, asks = (client.get(f"/s/{link.token}") for link in links)
    assert gone.status_code == late.status_code == 404 and gone.text == late.text == client.get("/s/nonsense").text
    assert "Protected page" in asks.text and not any("Zanzibar" in answer.text for answer in (gone, late, asks))
    assert client.head(f"/s/{revoked.token}").status_code == 404


def test_it_dies_with_its_owner_with_their_right_to_share_and_with_the_dashboard(client, workspace, board):
    bob, root = workspace["bob"], workspace["root"]
    link = make(bob, board)
    assert client.get(f"/s/{link.token}").status_code == 200
    with write_session() as session:
        session.get(User, bob.user_id).is_active = False
    assert client.get(f"/s/{link.token}").status_code == 404
    with write_session() as session:
        session.get(User, bob.user_id).is_active = True
        role = session.exec(select(Role).where(Role.key == "manager")).one()
        grant = session.exec(
            select(RolePermission).where(
                RolePermission.role_id == role.id, RolePermission.entity == "analytics", RolePermission.action == Action.MANAGE
            )
        ).one()
        session.delete(grant)
    assert client.get(f"/s/{link.token}").status_code == 404
    with write_session() as session:
        mine = dashboards.create(session, root, name="r", tiles=[])
    other = make(root, mine)
    assert client.get(f"/s/{other.token}").status_code == 200
    with write_session() as session:
        dashboards.archive(session, root, mine)
    assert client.get(f"/s/{other.token}").status_code == 404


def test_it_shows_what_its_owner_may_see_at_this_moment(client, workspace):
    bob = workspace["bob"]
    tile = {"kind": "figure", "spec": {"metric": "open_pipeline", "by": "", "chart": "number"}}
    with write_session() as session:
        mine = dashboards.create(session, bob, name="b", tiles=[tile])
    link = make(bob, mine)
    before = client.get(f"/s/{link.token}").text
    with write_session() as session:
        stage = session.exec(select(Stage).where(Stage.kind == StageKind.OPEN)).first()
        for owner in (bob.user_id, workspace["charlie"].user_id):
            session.add(
                Deal(
                    name="x",
                    pipeline_id=stage.pipeline_id,
                    stage_id=stage.id,
                    amount_minor=777_000_000_00,
                    created_on=clock.today(),
                    stage_since=clock.utcnow(),
                    owner_id=owner,
                )
            )
    after = client.get(f"/s/{link.token}").text
    assert before != after
    with write_session() as session:
        role = session.exec(select(Role).where(Role.key == "manager")).one()
        for grant in session.exec(
            select(RolePermission).where(
                RolePermission.role_id == role.id, RolePermission.entity == "deal", RolePermission.action == Action.READ
            )
        ):
            session.delete(grant)
    narrowed = client.get(f"/s/{link.token}").text
    assert "There is no such figure." in narrowed


def test_a_password_is_asked_for_kept_for_this_link_and_guessing_ends(client, workspace, board):
    bob = workspace["bob"]
    link = make(bob, board, password="open sesame")
    other = make(bob, board, password="another one")
    origin = {"origin": "http://testserver"}
    page = client.get(f"/s/{link.token}")
    assert page.status_code == 200 and "Protected page" in page.text and "Zanzibar" not in page.text
    assert (
        client.post(f"/s/{link.token}", data={"password": "open sesame"}, headers={"origin": "http://evil.example"}).status_code
        == 403
    )
    wrong = client.post(f"/s/{link.token}", data={"password": "open"}, headers=origin)
    assert wrong.status_code == 403 and "Zanzibar" not in wrong.text
    right = client.post(f"/s/{link.token}", data={"password": "open sesame"}, headers=origin, follow_redirects=False)
    assert right.status_code == 303 and "HttpOnly" in right.headers["set-cookie"]
    assert "Zanzibar" in client.get(f"/s/{link.token}").text
    assert "Zanzibar" not in client.get(f"/s/{other.token}").text
    client.cookies.clear()
    client.cookies.set(f"rapport_share_{link.id}", "x" * 32)
    assert "Zanzibar" not in client.get(f"/s/{link.token}").text
    codes = [client.post(f"/s/{other.token}", data={"password": f"guess {n}"}, headers=origin).status_code for n in range(10)]
    assert codes[:8] == [403] * 8 and codes[8:] == [429, 429]
    assert client.post(f"/s/{other.token}", data={"password": "another one"}, headers=origin).status_code == 429
    with read_session() as session:
        assert sum(view["refused"] for view in sharing.views(session, bob, other.id)) == 8
        assert session.exec(select(SigninAttempt)).first() is not None


def test_one_address_can_not_try_addresses_without_end(client, workspace):
    codes = [client.get(f"/s/guess{n}").status_code for n in range(share.PER_MINUTE + 2)]
    assert codes[0] == 404 and codes[-1] == 429


def test_a_page_may_stand_in_another_site_only_when_the_link_says_so(client, workspace, board):
    link = make(workspace["bob"], board, embeddable=True)
    assert "frame-ancestors *" in client.get(f"/s/{link.token}").headers["content-security-policy"]
    with pytest.raises(Invalid):
        make(workspace["bob"], board, embeddable=True, password="long enough")


def test_links_are_made_seen_and_withdrawn_by_those_who_may(workspace, board):
    link = make(workspace["bob"], board)
    with write_session() as session:
        with pytest.raises(NotPermitted):
            sharing.create(session, workspace["alice"], kind=ShareKind.DASHBOARD, target_id=board)
        with pytest.raises(NotFound):
            sharing.create(session, workspace["dana"], kind=ShareKind.DASHBOARD, target_id=board)
        with pytest.raises(NotFound):
            sharing.revoke(session, workspace["dana"], link.id)
        assert [row.token for row in sharing.find(session, workspace["root"])] == [""]
        sharing.revoke(session, workspace["root"], link.id)
        with pytest.raises(Invalid):
            sharing.extend(session, workspace["bob"], link.id, days=7)


def finished_run(actor, verdict="Three groups hold."):
    wanted = method("segmentation")
    groups = pd.DataFrame({"name": ["Loyal", "Rare", "Few"], "n": [30, 20, 2], "share": 0.3, "revenue": 9.0, "revenue_share": 0.3})
    people = pd.DataFrame({"customer_id": [1, 2], "name": ["Ida Berg", "Bo"], "n": [9, 9]})
    with write_session() as session:
        params = wanted.normalise({}, session, actor)
        reach = run_keys.scope(session, actor, wanted, params)
        row = AnalysisRun(
            kind="segmentation", params=params, key="k", scope=reach, as_of=NOW.date(), code_version="x", requested_by=actor.user_id,
            state=RunState.DONE, verdict=verdict, result={"summary": {"groups": 3, "worst_jaccard": 0.71, "customers": 2}}, finished_at=NOW,
        )  # fmt: skip
        session.add(row)
        session.flush()
        for name, frame in (("clusters", groups), ("customers", people)):
            session.add(AnalysisTable(run_id=row.id, name=name, rows=len(frame), data=pack(frame)))
        return row.id


def test_an_analysis_is_shared_without_single_records(client, workspace):
    dana = workspace["dana"]
    run_id = finished_run(dana, "Three <groups> hold.")
    with write_session() as session:
        sharing.create(session, dana, kind=ShareKind.RUN, target_id=run_id)
        with pytest.raises(NotFound):
            sharing.create(session, workspace["root"], kind=ShareKind.RUN, target_id=run_id + 1)
        token = sharing.find(session, dana)[0].token
    page = client.get(f"/s/{token}")
    assert page.status_code == 200 and "Three &lt;groups&gt; hold." in page.text and "71%" in page.text
    assert "Loyal" in page.text and "Few" not in page.text and "Rare" not in page.text
    assert "Ida" not in page.text and "<script" not in page.text
    assert "<h2>Customers</h2>" not in page.text, "two of them are too few to tell"
    assert set(SHEETS) == set(kinds()), "every analysis has its page for people outside"


def shared(client, actor, kind, summary, warnings=(), **tables):
    """The page that a stranger sees of a finished run with these tables, as plain text."""
    wanted = method(kind)
    with write_session() as session:
        params = wanted.normalise({}, session, actor)
        row = AnalysisRun(
            kind=kind, params=params, key=uuid4().hex, scope=run_keys.scope(session, actor, wanted, params), as_of=NOW.date(), code_version="x",
            requested_by=actor.user_id, state=RunState.DONE, verdict="So it is.", result={"summary": summary}, warnings=list(warnings), finished_at=NOW,
        )  # fmt: skip
        session.add(row)
        session.flush()
        for name, columns in tables.items():
            frame = pd.DataFrame(columns)
            session.add(AnalysisTable(run_id=row.id, name=name, rows=len(frame), data=pack(frame)))
        made = sharing.create(session, actor, kind=ShareKind.RUN, target_id=row.id)
    with read_session() as session:
        token = next(link.token for link in sharing.find(session, actor) if link.id == made)
    answer = client.get(f"/s/{token}")
    assert answer.status_code == 200 and "So it is." in answer.text
    return answer.text


def test_what_a_shared_analysis_tells_is_in_its_own_unit_rests_on_enough_people_and_names_no_colleague(client, workspace):
    bob, none = workspace["bob"], float("nan")

    def forecast(money):
        ahead = {"ds": ["2026-04-01"], "yhat": [340.0], "low": [300.0], "high": [380.0]}
        return shared(client, bob, "forecast", {"total": 340.0, "money": money}, forecast=ahead)

    assert "$340" not in forecast(False) and "$340" in forecast(True)
    credits = {
        "model": ["first"] * 4,
        "channel": ["Mail", "Ads", "Fair", "Call"],
        "share": [0.5, 0.3, 0.1, 0.1],
        "touched": [40, 30, 2, 9],
    }
    costs = {
        "channel": ["Mail", "Ads", "Fair", "Radio"],
        "cost": [10.0, 20.0, 77.0, 5.0],
        "lowest": [1.0, 2.0, 38.0, none],
        "highest": [1.0, 2.0, 39.0, none],
    }
    page = shared(client, bob, "attribution", {"conversions": 3, "value": 812.0}, credits=credits, costs=costs)
    assert "$77" not in page and "$812" not in page and "Radio" in page and "2 rows about few" in page
    ways = {"way": ["weighted"], "estimate": [1_200_000.0], "low": [none], "high": [none], "wape": [none], "bias": [none], "n": [1]}
    page = shared(client, bob, "outlook", {}, ways=ways)
    assert "$1.2M" in page and "– to –" not in page and "nan" not in page and 'class="dot"' in page and 'class="range"' not in page
    groups = {
        "group": ["Loyal", "Tiny", "Big", "Vast"],
        "customers": [60, 2, 40, 50],
        "left": [0, 1, 9, 8],
        "rate": 1.0,
        "low": 0.5,
        "high": 2.0,
    }
    page = shared(client, bob, "churn", {"customers": 3, "at_stake": 555.0}, groups=groups)
    assert "Loyal" in page and "Tiny" not in page and "$555" not in page and "2 rows about few" in page
    assert "$0" not in shared(client, bob, "churn", {"customers": 30, "at_stake": 0.0}), "a sum that is not known"
    terms = ["intercept", "Owner = Alice Rep", "Source = Event", "Source = Fair", "Employees"]
    found = {"term": terms, "coef": 0.1, "low": 0.05, "high": 0.2, "spread": 1.0, "sentence": [f"{one} matters." for one in terms]}
    extra = {"n": [90, 40, 40, 3, 90], "person": [False, True, False, False, False]}
    told = ("Owner = Alice Rep never changes.", "Numbers are few.")
    page = shared(client, bob, "drivers", {"rows": 90, "kind": "linear", "y": "Amount"}, told, coefficients={**found, **extra})
    assert "Alice" not in page and "Source = Event matters." in page and "Fair" not in page and "Numbers are few." in page
    page = shared(client, bob, "drivers", {"rows": 90, "kind": "linear", "y": "Amount"}, coefficients=found)
    assert "Alice" not in page and "Employees matters." in page, "a run of before says nothing of single values"
    assert "Groups" not in shared(client, bob, "segmentation", {}, clusters={"label": ["A"], "n": [30]}), (
        "other columns: no part, no fault"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(SHEETS, "basket")
        shared(client, bob, "basket", {"baskets": 30})


def test_a_dead_link_of_any_kind_says_so_and_offers_a_stranger_no_way_into_the_app(client, cast):
    for door in ("s", "t", "u", "p", "r", "q", "c", "f", "b", "book"):
        answer = client.get(f"/{door}/nothing")
        assert answer.status_code == 404 and "This link does not work" in answer.text, door
        assert "<a " not in answer.text and "noindex" in answer.headers["x-robots-tag"], door
        assert '<p class="brand from">Test Ltd</p>' in answer.text, "under the name that a customer knows"
