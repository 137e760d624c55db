"""Whose account a single sign-on means."""

from collections.abc import Mapping
from typing import Any

from sqlmodel import Session, select

from crm_core import events
from crm_core.access import system
from crm_core.errors import NotPermitted
from crm_core.kit.text import clean, email_key
from crm_core.models import Role, User, UserRole
from crm_core.services.admin import hierarchy
from crm_core.services.admin.people import check_email
from crm_core.settings import settings
from crm_core.vocabulary import Via


def person_of(session: Session, claims: Mapping[str, Any]) -> User:
    """The active person with the verified e-mail address of an identity token; a new one where RAPPORT_OIDC_DEFAULT_ROLE says so.

    The first sign-in binds the account to the provider's subject, so that an address which the provider later gives to somebody else does not
    open it. Raises NotPermitted with a sentence otherwise.
    """
    subject, email = str(claims.get("sub") or ""), str(claims.get("email") or "").strip()
    if not subject:
        raise NotPermitted("The single sign-on service did not say who you are.")
    bound = session.exec(select(User).where(User.oidc_subject == subject)).first()
    if bound is not None:
        return _active(bound)
    verified = claims.get("email_verified")
    if not email or not (verified is True or verified == "true"):
        raise NotPermitted("Your e-mail address is not verified at the single sign-on service, so it can't open an account here.")
    user = session.exec(select(User).where(User.email_key == email_key(email))).first()
    if user is None:
        return _new_person(session, subject, email, str(claims.get("name") or ""))
    if user.oidc_subject is not None:
        raise NotPermitted("This e-mail address belongs to another account of the single sign-on service. Ask an administrator.")
    _active(user).oidc_subject = subject
    session.flush()
    return user


def _active(user: User) -> User:
    if not user.is_active:
        raise NotPermitted("This account was deactivated. Ask an administrator.")
    return user


def _new_person(session: Session, subject: str, email: str, name: str) -> User:
    wanted = settings().oidc_default_role
    if not wanted:
        raise NotPermitted("There is no account with your e-mail address here. Ask an administrator for an invitation.")
    role = session.exec(select(Role).where(Role.key == wanted)).first()
    if role is None:
        raise NotPermitted("New people can't be let in, as the role that the settings name does not exist. Ask an administrator.")
    user = User(name=clean(name)[:200] or email.split("@")[0], email=email, email_key=check_email(email), oidc_subject=subject)
    session.add(user)
    session.flush()
    session.add(UserRole(user_id=user.id, role_id=role.id))
    hierarchy.rebuild(session)
    events.record(session, system(Via.SCREEN), "user.created", user, data={"method": "single sign-on"})
    return user
