"""The message that carries an invitation or a link for a new password."""

from sqlmodel import Session

from crm_core.access import Actor, require
from crm_core.channels import email
from crm_core.models import User
from crm_core.services.admin import setup
from crm_core.services.collaboration import outbox
from crm_core.vocabulary import Action, LinkPurpose

_WORDS = {
    LinkPurpose.INVITE: (
        "{actor} invites you to {workspace}",
        "Hello {name},\n\n{actor} invites you to {workspace}. Open this link to choose a password and join:\n\n{link}\n\n"
        "It works once, within 7 days. If you did not expect this, you can ignore it.\n",
    ),
    LinkPurpose.RESET: (
        "A new password for {workspace}",
        "Hello {name},\n\nwith this link you choose a new password for {workspace}:\n\n{link}\n\n"
        "It works once, within 24 hours. If you did not ask for it, tell your administrator.\n",
    ),
}


def queue(session: Session, actor: Actor, user: User, purpose: LinkPurpose, path: str, base_url: str) -> bool:
    """Mail the link to its person; False when no mail server is set or nobody knows this site's address. Its words are kept nowhere."""
    require(actor, "user", Action.MANAGE)
    if not base_url or not email.configured():
        return False
    workspace = setup.organisation(session)
    values = {
        "actor": actor.name,
        "name": user.name,
        "workspace": workspace.name if workspace else "Rapport",
        "link": base_url.rstrip("/") + path,
    }
    subject, text = (words.format(**values) for words in _WORDS[purpose])
    key = f"{purpose.value}:{outbox.fingerprint(path)}"
    outbox.queue(
        session, actor, to=user.email, name=user.name, subject=subject, text=text, kind=purpose.value, dedupe_key=key, secret=True
    )
    return True
