"""The first visit, and whose account a single sign-on means."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlmodel import select

from crm_core import lists
from crm_core.access import load
from crm_core.db import read_session, write_session
from crm_core.errors import Conflict, Invalid, NotPermitted
from crm_core.models import Organisation, User, UserClosure
from crm_core.services import crud
from crm_core.services.admin import founding, hierarchy, single_signon
from crm_core.services.collaboration import views
from crm_core.settings import settings
from crm_core.vocabulary import Action
from tests.quick_hashes import quick_hashes as quick_hashes

GOOD = {
    "workspace": "Nordwind GmbH",
    "currency": "EUR",
    "timezone": "Europe/Berlin",
    "name": "Nora",
    "email": "nora@example.com",
    "password": "quiet river stone",
}


def found(**changes):
    with write_session() as session:
        return founding.found(session, **{**GOOD, **changes})


def test_the_first_person_is_an_administrator_of_a_workspace_with_its_settings(any_database):
    user = found()
    with read_session() as session:
        actor = load(session, user.id)
        assert actor.can("user", Action.MANAGE) and (actor.currency, actor.timezone) == ("EUR", "Europe/Berlin")
        workspace = session.exec(select(Organisation)).one()
        assert (workspace.name, workspace.is_demo) == ("Nordwind GmbH", False)
        assert session.exec(select(UserClosure)).one().depth == 0


def test_a_new_workspace_has_views_of_the_deals_that_stand_still(any_database):
    founder = found()
    with write_session() as session:
        actor = load(session, founder.id)
        crud.create(session, actor, "deal", {"name": "Planned", "next_step": "Call"})
        crud.create(session, actor, "deal", {"name": "Nothing planned"})
    with read_session() as session:
        known = {
            view.name: views.usable(session, actor, view)["filter"] for view in views.find(session, actor, "deal") if view.shared
        }
        counts = {name: lists.count(session, actor, "deal", lists.ListQuery(filter=rule)) for name, rule in known.items()}
    assert counts == {"Idle": 0, "No next step": 1}


def test_a_second_founding_is_refused(any_database):
    found()
    with pytest.raises(Conflict, match="set up already"):
        found(email="other@example.com")
    with read_session() as session:
        assert len(session.exec(select(User)).all()) == 1


def test_two_founders_at_once_make_one_workspace(any_database):
    def try_to(n):
        try:
            return found(email=f"founder{n}@example.com")
        except Conflict:
            return None

    with ThreadPoolExecutor(4) as crowd:
        made = [user for user in crowd.map(try_to, range(4)) if user is not None]
    with read_session() as session:
        assert len(made) == len(session.exec(select(User)).all()) == len(session.exec(select(Organisation)).all()) == 1


def test_everything_wrong_is_named_at_once_and_nothing_is_kept(database):
    with pytest.raises(Invalid) as caught:
        found(workspace=" ", currency="XXX", timezone="Mars", locale="tlh", name="", email="nora", password="short")
    assert set(caught.value.fields) == {"workspace", "currency", "timezone", "locale", "name", "email", "password"}
    with read_session() as session:
        assert session.exec(select(Organisation)).all() == [] and session.exec(select(User)).all() == []


@pytest.mark.parametrize(
    ("accepted", "locale"),
    [
        ("en-US,en;q=0.9", "en_US"),
        ("en-GB,en-US;q=0.8", "en_GB"),
        ("en-IE", "en_GB"),
        ("en", "en_GB"),
        ("de", "de_DE"),
        ("de-CH,de;q=0.9,en-US;q=0.5", "de_CH"),
        ("en-US;q=0.4, de-AT;q=0.9", "de_AT"),
        ("pt-PT,en-US;q=0.5", "pt_BR"),
        ("cs-CZ,cs;q=0.9", "en_GB"),
        ("*", "en_US"),
        ("", "en_US"),
        (";;q=x,,-_", "en_GB"),
    ],
)
def test_a_browser_says_in_which_order_days_are_written(accepted, locale):
    assert founding.usual_locale(accepted) == locale


def test_currencies_and_time_zones_of_the_world_can_be_chosen():
    assert {"EUR", "USD", "GHS", "JPY", "KWD"} <= set(founding.currencies()) and "DEM" not in founding.currencies()
    assert founding.timezones()[0] == "UTC" and "Asia/Kolkata" in founding.timezones()


def test_everybody_above_is_a_pair_and_a_circle_is_an_error():
    assert sorted(hierarchy.pairs({1: None, 2: 1, 3: 2})) == [(1, 1, 0), (1, 2, 1), (1, 3, 2), (2, 2, 0), (2, 3, 1), (3, 3, 0)]
    with pytest.raises(ValueError, match="above themselves"):
        hierarchy.pairs({1: 2, 2: 1})


# --- single sign-on -------------------------------------------------------------------------------------------------------


def person_of(**claims):
    with write_session() as session:
        return single_signon.person_of(session, claims)


@pytest.fixture
def default_role(monkeypatch):
    def choose(role):
        monkeypatch.setenv("RAPPORT_OIDC_DEFAULT_ROLE", role)
        settings.cache_clear()

    return choose


def test_a_verified_address_opens_its_account_and_binds_it(any_cast):
    user = person_of(sub="s1", email="ALICE@example.com", email_verified=True)
    assert user.id == any_cast["alice"].user_id
    assert person_of(sub="s1", email="renamed@example.com", email_verified=True).id == user.id, (
        "the subject counts, not the address"
    )
    with pytest.raises(NotPermitted, match="another account of the single sign-on"):
        person_of(sub="s2", email="alice@example.com", email_verified=True)


@pytest.mark.parametrize("verified", [False, None, "false", 1, "yes"])
def test_an_unverified_address_opens_nothing(cast, verified):
    with pytest.raises(NotPermitted, match="not verified"):
        person_of(sub="s1", email="alice@example.com", email_verified=verified)


def test_an_identity_without_a_subject_opens_nothing(cast):
    with pytest.raises(NotPermitted, match="did not say who you are"):
        person_of(email="alice@example.com", email_verified=True)


def test_a_deactivated_person_stays_out(cast):
    with write_session() as session:
        session.get(User, cast["alice"].user_id).is_active = False
    with pytest.raises(NotPermitted, match="deactivated"):
        person_of(sub="s1", email="alice@example.com", email_verified=True)


def test_somebody_new_gets_in_only_when_the_settings_name_a_role(cast, default_role):
    with pytest.raises(NotPermitted, match="no account"):
        person_of(sub="s9", email="new@example.com", email_verified=True, name="New Person")
    default_role("wizard")
    with pytest.raises(NotPermitted, match="does not exist"):
        person_of(sub="s9", email="new@example.com", email_verified=True)
    default_role("sales_rep")
    user = person_of(sub="s9", email="new@example.com", email_verified=True, name="New Person")
    with read_session() as session:
        assert load(session, user.id).roles == ("sales_rep",)
        assert user.password_hash is None and user.name == "New Person"
