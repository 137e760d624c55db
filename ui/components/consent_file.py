"""Download what everybody said last about being contacted."""

from functools import partial
from typing import Any

from crm_core.access import Actor
from crm_core.db import read_session, write_session
from crm_core.services.customers import consent_files
from crm_core.vocabulary import Action
from ui.downloads import MIME, asker


def consent_file_button(actor: Actor, actions: Any) -> None:
    """The button; the file is made when it is asked for."""
    if actor.can("contact", Action.EXPORT) or actor.can("lead", Action.EXPORT):
        actions.download_button(
            "Download", partial(_make, actor), file_name="consent.csv", mime=MIME["csv"], icon=":material/download:", key="consent_file",
            on_click="ignore", help="What everybody said last, with legal basis, source and day",
        )  # fmt: skip


def _make(actor: Actor) -> bytes:
    with read_session() as session:
        now = asker(session, actor)
        made = consent_files.latest(session, now)
    with write_session() as session:
        consent_files.log(session, now, max(0, made.count(b"\n") - 1))
    return made
