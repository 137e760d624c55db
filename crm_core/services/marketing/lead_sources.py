"""Sources that leads are fetched from: lists that ad platforms, portals and partners offer as JSON over HTTPS.

What is fetched comes in through a lead form: it says what a lead must have, what every lead of it gets, how consent counts, and its log shows what
became of each entry.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from sqlmodel import Session, col, select

from crm_core import events
from crm_core.access import Actor, require
from crm_core.channels import webhook
from crm_core.errors import Conflict, CrmError, Invalid, NotFound
from crm_core.jobs import enqueue
from crm_core.kit import sealed
from crm_core.kit.clock import utcnow
from crm_core.kit.text import clean, fold
from crm_core.models import LeadForm, LeadSource
from crm_core.ordering import alphabetical
from crm_core.records import refuse_stale
from crm_core.services.marketing import lead_forms, pull_rules
from crm_core.services.marketing.pull_rules import UnreadableError
from crm_core.vocabulary import Action

SEAL = "lead-source"
JOB = "lead_source.pull"
MOST_ANSWER = 4 << 20
SECONDS = 25.0
EVERY = {5: "5 minutes", 15: "15 minutes", 60: "hour", 360: "6 hours", 1440: "day"}
LOST = "The secret was kept with the key of another installation and can't be read here. Type it in again."
_PATHS = {
    "items_path": "Where the list stands",
    "id_path": "Number of an entry",
    "consent_path": "Consent",
    "cursor_path": "Where it goes on",
}


@dataclass(frozen=True)
class SourceView:
    """A source as its card shows it, without its secret."""

    source: LeadSource
    form: str
    has_secret: bool


@dataclass(frozen=True)
class Probe:
    """What one question brought, without keeping anything: so many ``entries``, the first as leads would get it, and what is missing in it."""

    entries: int = 0
    first: tuple[tuple[str, str], ...] = ()
    external_id: str = ""
    agreed: bool = False
    cursor: str = ""
    trouble: str = ""


def find(session: Session, actor: Actor) -> list[SourceView]:
    """All sources by name."""
    require(actor, "lead_form", Action.READ)
    rows = session.exec(select(LeadSource, LeadForm.name).join(LeadForm).order_by(alphabetical(LeadSource.name)))
    return [SourceView(_bare(row), name, bool(row.secret_sealed)) for row, name in rows]


def _bare(row: LeadSource) -> LeadSource:
    return LeadSource(**{**row.model_dump(), "secret_sealed": ""})


def save(
    session: Session, actor: Actor, source_id: int | None, values: Mapping[str, Any], *, base_version: int | None = None
) -> LeadSource:
    """Create a source or change it. ``values``: its columns; ``secret`` replaces the one that is kept, left out it stays. Events: lead_source.saved."""
    require(actor, "lead_form", Action.MANAGE)
    row = get(session, actor, source_id) if source_id else LeadSource(name="", form_id=0, url="")
    refuse_stale("this source", row, base_version)
    made = _checked(session, row, {**row.model_dump(), **values})
    if any(getattr(row, key) != made[key] for key in ("url", "cursor_param", "cursor_path", "cursor_in")):
        row.cursor = ""
    for key, value in made.items():
        setattr(row, key, value)
    row.next_pull_at, row.failures, row.message = utcnow(), 0, ""
    session.add(row)
    session.flush()
    events.record(session, actor, "lead_source.saved", entity="lead_form", record_id=row.form_id, data={"name": row.name})
    return row


def remove(session: Session, actor: Actor, source_id: int) -> None:
    """Delete a source; its leads and its log stay with the form. Events: lead_source.removed."""
    require(actor, "lead_form", Action.MANAGE)
    row = get(session, actor, source_id)
    session.delete(row)
    session.flush()
    events.record(session, actor, "lead_source.removed", entity="lead_form", record_id=row.form_id, data={"name": row.name})


def pull_now(session: Session, actor: Actor, source_id: int) -> None:
    """Ask a source right away, whatever its pause."""
    require(actor, "lead_form", Action.MANAGE)
    row = get(session, actor, source_id)
    if not row.is_active:
        raise Conflict("This source is switched off. Switch it on first.")
    row.next_pull_at = utcnow()
    session.add(row)
    session.flush()
    enqueue(session, JOB, unless_waiting=True, user_id=actor.user_id)


def get(session: Session, actor: Actor, source_id: int) -> LeadSource:
    """One source. Raises NotFound."""
    require(actor, "lead_form", Action.READ)
    row = session.get(LeadSource, source_id)
    if row is None:
        raise NotFound("This source no longer exists.")
    return row


# --- asking -----------------------------------------------------------------------------------------------------------------


def ask(row: LeadSource, secret: str, cursor: str) -> str:
    """One question: the text of the answer. Raises UnreadableError with a sentence for people, which never holds the secret."""
    headers = {"accept": "application/json", **({row.header: secret} if row.header and secret else {})}
    answer = webhook.get(pull_rules.asked_at(row.url, row.cursor_param, cursor), headers, seconds=SECONDS, most=MOST_ANSWER)
    if answer.status is None:
        raise UnreadableError(answer.message)
    if answer.status in (401, 403):
        raise UnreadableError(f"It refuses the secret (status {answer.status}).")
    if not answer.ok:
        raise UnreadableError(f"It answers with status {answer.status}.")
    return answer.text


def secret_of(row: LeadSource) -> str:
    """The secret of a loaded source. Raises UnreadableError when it can't be opened here."""
    found = sealed.unseal(SEAL, row.secret_sealed)
    if found is None:
        raise UnreadableError(LOST)
    return found


def try_out(session: Session, actor: Actor, source_id: int | None, values: Mapping[str, Any]) -> Probe:
    """Ask once with these settings and say what a lead would get; nothing is kept."""
    require(actor, "lead_form", Action.MANAGE)
    row = get(session, actor, source_id) if source_id else LeadSource(name="", form_id=0, url="")
    try:
        made = _checked(session, row, {**row.model_dump(), "name": "try", **values, "own_name": True})
        trial = LeadSource(**{**row.model_dump(), **made})
        whole, entries = pull_rules.entries_of(ask(trial, secret_of(trial), ""), trial.items_path)
    except UnreadableError as error:
        return Probe(trouble=str(error))
    except CrmError as error:
        wrong = error.fields if isinstance(error, Invalid) else {}
        return Probe(trouble=" ".join(dict.fromkeys((wrong or {}).values())) or error.message)
    cursor = pull_rules.next_cursor(whole, entries, trial.cursor_in, trial.cursor_path)
    if not entries:
        return Probe(cursor=cursor)
    labels = {key: spec.label for key, spec in lead_forms.offered(session, actor).items()}
    first = tuple((labels.get(key, key), text) for key, text in pull_rules.mapped(entries[0], trial.mapping).items())
    number = pull_rules.id_of(entries[0], trial.id_path)
    trouble = "" if number else f"The first entry has no number at “{trial.id_path}”."
    return Probe(len(entries), first, number, pull_rules.agreed(entries[0], trial.consent_path), cursor, trouble)


# --- checks -----------------------------------------------------------------------------------------------------------------


def _checked(session: Session, row: LeadSource, given: Mapping[str, Any]) -> dict[str, Any]:
    wrong: dict[str, str] = {}
    made: dict[str, Any] = {"name": clean(str(given.get("name") or ""))[:80]}
    if not made["name"]:
        wrong["name"] = "Give the source a name."
    elif not given.get("own_name") and any(
        one.id != row.id and fold(one.name) == fold(made["name"]) for one in session.exec(select(LeadSource))
    ):
        wrong["name"] = f"There is a source called “{made['name']}” already."
    form = session.get(LeadForm, given.get("form_id") or 0)
    if form is None:
        wrong["form_id"] = "Choose the form through which its leads come in."
    made |= {"form_id": form.id if form else 0, **_web(given, wrong), **_paths(given, wrong)}
    made["mapping"] = _mapping(form, given.get("mapping") or {}, wrong)
    made["every_minutes"] = given["every_minutes"] if given.get("every_minutes") in EVERY else 15
    made |= {key: bool(given.get(key, True)) for key in ("is_active", "keeps_cursor")}
    _secret(row, made, given, wrong)
    if wrong:
        raise Invalid(fields=wrong)
    return made


def _web(given: Mapping[str, Any], wrong: dict[str, str]) -> dict[str, Any]:
    header = clean(str(given.get("header") or ""))
    if (header and not all(part.isalnum() for part in header.split("-"))) or len(header) > 60:
        wrong["header"] = "A header is called like Authorization or X-Api-Key."
    if header.lower() in ("host", "content-length", "connection", "accept-encoding", "transfer-encoding"):
        wrong["header"] = "This header is set by the connection itself."
    try:
        url = webhook.check(str(given.get("url") or ""))
    except Invalid as error:
        wrong["url"], url = (error.fields or {}).get("url", error.message), ""
    param = clean(str(given.get("cursor_param") or ""))[:60]
    return {
        "url": url,
        "header": header,
        "cursor_param": param,
        "cursor_in": "item" if given.get("cursor_in") == "item" else "answer",
    }


def _paths(given: Mapping[str, Any], wrong: dict[str, str]) -> dict[str, str]:
    found = {}
    for key, label in _PATHS.items():
        try:
            found[key] = pull_rules.check_path(str(given.get(key) or ""))
        except ValueError as error:
            wrong[key] = f"{label}: {error}"
    if not found.get("id_path") and "id_path" not in wrong:
        wrong["id_path"] = "Say where the number of an entry stands: by it nothing comes in twice."
    return found


def _mapping(form: LeadForm | None, given: Mapping[str, Any], wrong: dict[str, str]) -> dict[str, str]:
    asked = {one["key"]: one for one in form.fields} if form is not None else {}
    found: dict[str, str] = {}
    for key, path in given.items():
        try:
            if clean(str(path or "")) and key in asked:
                found[key] = pull_rules.check_path(str(path))
        except ValueError as error:
            wrong["mapping"] = str(error)
    missing = [one["label"] or key for key, one in asked.items() if one["required"] and key not in found]
    if form is not None and missing:
        wrong.setdefault("mapping", f"The form needs {' and '.join(missing)}: say where it stands in an entry.")
    return found


def _secret(row: LeadSource, made: dict[str, Any], given: Mapping[str, Any], wrong: dict[str, str]) -> None:
    """What is typed in is sealed; what is kept is never sent to another place than before."""
    typed = given.get("secret")
    if typed is not None and typed != "":
        if any(ord(letter) < 32 or ord(letter) > 126 for letter in str(typed)) or len(str(typed)) > 2_000:
            wrong["secret"] = "A secret has only visible characters of the keyboard."  # noqa: S105
        else:
            made["secret_sealed"] = sealed.seal(SEAL, str(typed))
    elif row.secret_sealed and made["url"] and _host(made["url"]) != _host(row.url):
        wrong["secret"] = "Type the secret again: it is not sent to another place than before."  # noqa: S105
    elif made["header"] and not row.secret_sealed:
        wrong["secret"] = f"Type what goes into the header {made['header']}."


def _host(url: str) -> tuple[str, str, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname or "", parts.port


def of_form(session: Session, actor: Actor, form_id: int) -> list[str]:
    """The names of the sources that come in through a form."""
    require(actor, "lead_form", Action.READ)
    return list(session.exec(select(LeadSource.name).where(col(LeadSource.form_id) == form_id)))
