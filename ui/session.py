"""Who is looking at this page."""

from crm_core.access import Actor
from crm_core.kit import numerals
from ml import writing
from ui import run
from ui.guard import identity_of_tab, signed_in_actor


def current_actor() -> Actor:
    """The signed-in person of this tab, checked once per run: a page asks a dozen times while it draws, a fragment that runs later checks
    again. A tab whose session is gone is sent to the sign-in page and draws nothing more."""
    kept = run.drawer().get("actor")
    return kept if kept is not None else begin_run()


def for_reader() -> None:
    """Make sure that this thread writes for the person of this tab; where nobody is signed in, it writes as it did."""
    if "actor" not in run.drawer() and identity_of_tab() is not None:
        begin_run()


def begin_run() -> Actor:
    """Check the session whatever was checked before; the entry script calls it first on every run."""
    actor = signed_in_actor()
    run.drawer()["actor"] = actor
    numerals.read_in(actor.locale)
    writing.write_by(numerals.written)
    return actor
