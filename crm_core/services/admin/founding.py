"""The first visit: a workspace and its first administrator, made in one transaction, once."""

from functools import lru_cache
from zoneinfo import available_timezones

from babel.core import Locale, get_global
from babel.numbers import get_territory_currencies
from sqlalchemy import text
from sqlmodel import Session, select

from crm_core import db, events
from crm_core.access import system
from crm_core.errors import Conflict, Invalid
from crm_core.kit.text import clean
from crm_core.models import Organisation, Role, User, UserRole
from crm_core.services.admin import hierarchy, organisation, passwords, setup
from crm_core.services.admin.people import check_email
from crm_core.vocabulary import Via

ALREADY = "This workspace was set up already. Sign in, or ask its administrator for an invitation."


@lru_cache(maxsize=1)
def currencies() -> dict[str, str]:
    """Code → name of every currency that some country uses today."""
    english = Locale("en").currencies
    codes = {code for territory in get_global("territory_currencies") for code in get_territory_currencies(territory)}
    return {code: f"{code} · {english.get(code, code)}" for code in sorted(codes)}


@lru_cache(maxsize=1)
def timezones() -> tuple[str, ...]:
    """Names of all time zones of the world, UTC first."""
    names = {
        name for name in available_timezones() if "/" in name and not name.startswith(("Etc/", "posix/", "right/", "SystemV/"))
    }
    return ("UTC", *sorted(names))


@lru_cache(maxsize=1)
def usual_currencies() -> dict[str, str]:
    """Time zone → what people there pay with, for the zones that lie in one country."""
    countries, aliases, known = get_global("zone_territories"), get_global("zone_aliases"), currencies()
    found = {}
    for zone in timezones():
        country = countries.get(zone) or countries.get(aliases.get(zone, ""))
        paid = get_territory_currencies(country) if country else []
        if paid and paid[-1] in known:
            found[zone] = paid[-1]
    return found


def usual_locale(accept_language: str) -> str:
    """The offered format of numbers and dates that fits a browser's ``Accept-Language`` best: of its first language that is offered, else day first.

    Only American English writes the month first. A browser that names no language at all gets the default of a workspace, ``en_US``.
    """
    tags = [tag for tag in _by_preference(accept_language) if tag != "*"]
    if not tags:
        return "en_US"
    for tag in tags:
        language, _, rest = tag.partition("_")
        country = rest.rpartition("_")[2].upper()
        if f"{language}_{country}" in organisation.LOCALES:
            return f"{language}_{country}"
        alike = [key for key in organisation.LOCALES if key.startswith(f"{language}_") and key != "en_US"]
        if alike:
            return alike[0]
    return "en_GB"


def _by_preference(accept_language: str) -> list[str]:
    found = []
    for n, part in enumerate(accept_language[:500].split(",")):
        tag, _, quality = part.partition(";")
        try:
            weight = float(quality.strip().removeprefix("q=") or 1)
        except ValueError:
            weight = 0.0
        if tag.strip() and weight > 0:
            found.append((-weight, n, tag.strip().replace("-", "_").lower()))
    return [tag for _weight, _n, tag in sorted(found)]


def is_founded(session: Session) -> bool:
    """True once the workspace exists."""
    return setup.organisation(session) is not None


def is_installed(session: Session) -> bool:
    """True once the defaults (roles, pipeline, lists) are in the database."""
    return session.exec(select(Role.id)).first() is not None


def found(
    session: Session, *, workspace: str, currency: str, timezone: str, name: str, email: str, password: str, locale: str = "en_US"
) -> User:
    """Create the workspace with its first administrator.

    No actor: nobody exists yet; the door lets only somebody on the machine itself, or with the setup token, come here. Raises Invalid per
    field, and Conflict when somebody else was faster.
    """
    _refuse_second(session)
    _check(workspace, currency, timezone, locale, name, email, password)
    setup.install(session)
    created = setup.create_organisation(session, clean(workspace)[:200], currency=currency, timezone=timezone, locale=locale)
    user = User(
        name=clean(name)[:200], email=email.strip(), email_key=check_email(email), password_hash=passwords.hash_password(password)
    )
    session.add(user)
    session.flush()
    role = session.exec(select(Role).where(Role.key == "administrator")).one()
    session.add(UserRole(user_id=user.id, role_id=role.id))
    hierarchy.rebuild(session)
    setup.create_views(session, user.id)
    events.record(session, system(Via.SCREEN), "user.created", user)
    events.record(session, system(Via.SCREEN), "organisation.updated", entity="organisation", record_id=created.id)
    return user


def _refuse_second(session: Session) -> None:
    if not db.is_sqlite(session):
        session.execute(text("SELECT pg_advisory_xact_lock(7276)"))
    if session.exec(select(Organisation.id)).first() is not None:
        raise Conflict(ALREADY)


def _check(workspace: str, currency: str, timezone: str, locale: str, name: str, email: str, password: str) -> None:
    wrong: dict[str, str] = {}
    if not clean(workspace):
        wrong["workspace"] = "Give your workspace a name."
    if not clean(name):
        wrong["name"] = "Your name is needed."
    if currency not in currencies():
        wrong["currency"] = "Choose one of the listed currencies."
    if timezone not in timezones():
        wrong["timezone"] = "Choose one of the listed time zones."
    if locale not in organisation.LOCALES:
        wrong["locale"] = "Choose one of the listed formats."
    for check in (lambda: check_email(email), lambda: passwords.require_strong(password, email=email, name=name)):
        try:
            check()
        except Invalid as error:
            wrong |= error.fields
    if wrong:
        raise Invalid("Please correct the marked fields.", wrong)
