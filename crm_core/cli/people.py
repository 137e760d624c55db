"""Verbs on people: user add, disable, reset."""

import os
from typing import Annotated, Any

import typer

from crm_core.cli import output
from crm_core.cli.output import AsJson

app = typer.Typer(help="Add people, lock them out, give them a new link.", no_args_is_help=True)
Email = Annotated[str, typer.Argument(help="The e-mail address with which the person signs in.")]


@app.command()
def add(
    email: Email,
    name: Annotated[str, typer.Option(help="Full name.")],
    role: Annotated[list[str], typer.Option(help="Name or key of a role, such as sales_rep; may be given several times.")],
    manager: Annotated[str, typer.Option(help="E-mail address of the manager.")] = "",
    as_json: AsJson = False,
) -> None:
    """Add a person and print the one-time link with which they choose a password."""
    _begin(as_json)
    from sqlmodel import select

    from crm_core import access
    from crm_core.db import write_session
    from crm_core.errors import Invalid
    from crm_core.models import Role
    from crm_core.services.admin import users
    from crm_core.vocabulary import Via

    with write_session() as session:
        known = {
            word.casefold(): found.id for found in session.exec(select(Role)) for word in (found.key or "", found.name) if word
        }
        unknown = [each for each in role if each.casefold() not in known]
        if unknown:
            raise Invalid(f"There is no role {', '.join(unknown)}. There are: {', '.join(sorted(known))}.")
        made = users.invite(
            session, access.system(Via.CLI), name=name, email=email, role_ids=[known[each.casefold()] or 0 for each in role],
            manager_id=_find(session, manager).id if manager else None,
        )  # fmt: skip
    _tell_link(made, "was added")


@app.command()
def disable(email: Email, as_json: AsJson = False) -> None:
    """Lock a person out at once: every session and link of theirs ends; their records stay."""
    _begin(as_json)
    from crm_core import access
    from crm_core.db import write_session
    from crm_core.services.admin import users
    from crm_core.vocabulary import Via

    with write_session() as session:
        user = users.deactivate(session, access.system(Via.CLI), _find(session, email).id)
    output.answer(f"{user.name} can't sign in any more.", user_id=user.id, email=user.email, active=False)


@app.command()
def reset(email: Email, as_json: AsJson = False) -> None:
    """Print a one-time link with which a person chooses a new password."""
    _begin(as_json)
    from crm_core import access
    from crm_core.db import write_session
    from crm_core.services.admin import users
    from crm_core.vocabulary import Via

    with write_session() as session:
        made = users.link_again(session, access.system(Via.CLI), _find(session, email).id)
    _tell_link(made, "gets a new link")


def _begin(as_json: bool) -> None:
    output.speak_json(as_json)
    output.quiet()
    output.require_current()


def _find(session: Any, email: str) -> Any:
    from sqlmodel import select

    from crm_core.errors import NotFound
    from crm_core.kit.text import email_key
    from crm_core.models import User

    found = session.exec(select(User).where(User.email_key == email_key(email))).first()
    if found is None:
        raise NotFound(f"There is nobody with the e-mail address {email}.")
    return found


def _tell_link(made: Any, words: str) -> None:
    from crm_core.settings import settings

    base = settings().public_url.rstrip("/") or f"http://localhost:{os.environ.get('STREAMLIT_SERVER_PORT', '8501')}"
    output.answer(
        f"{made.name} {words}. This link works once; it is not kept anywhere:\n  {base}{made.path}", user_id=made.user_id,
        email=made.email, link=base + made.path,
    )  # fmt: skip
