"""Consent of the demo company's people, and one finished campaign that went out by e-mail with a hold-out, so that its lift can be seen."""

import numpy as np

from crm_core.services.admin.demo.draft import Array, Draft, only, pick

AGREED, DECLINED = 0.78, 0.06
SOURCES = ("Sign-up form of the web shop", "At the spring fair", "On the phone", "With the first order")
SUBJECT = "{{first_name|Hello}}, taste the new season first"
BODY = """Hello {{first_name|there}},

the new harvest is here, and {{company|you}} can taste it before anybody else: [order a sample](https://www.fjordandbean.example/samples).

- three roasts, freshly ground
- free for customers until the end of the month

Kind regards
{{owner|The team}}"""


def add(draft: Draft) -> None:
    """Consent per person, the rules of the workspace, and the letter campaign with its messages."""
    _consent(draft)
    draft.put("outreach_rules", postal_address=["Harbour Street 12, 20457 Hamburg"])
    _letter(draft)


def _consent(draft: Draft) -> None:
    rng, created = draft.stream(18), draft.tables["contact"]["created_at"]
    n = len(created)
    said = rng.random(n)
    rows = np.flatnonzero(said < AGREED + DECLINED)
    draft.put(
        "consent", contact_id=rows + 1, purpose="marketing", way="email", status=np.where(said[rows] < AGREED, "granted", "withdrawn").astype(object),
        source=pick(rng, SOURCES, len(rows)), at=created[rows], is_latest=True,
    )  # fmt: skip


def _letter(draft: Draft) -> None:
    rng, known, member = draft.stream(19), draft.known, draft.tables["campaign_member"]
    number = known["letter_campaign"]
    mine = member["campaign_id"] == number
    rows = np.flatnonzero(mine)
    sent = rows[~member["is_control"][rows]]
    launched = member["created_at"][rows].min()
    contact = member["contact_id"][sent] - 1
    _messages(draft, number, sent, contact)
    _steps(draft, rng, rows, sent, launched)
    total, held = len(rows), len(rows) - len(sent)
    draft.put("campaign_variant", campaign_id=np.array([number]), key=["A"], weight=1, subject=[SUBJECT], body=[BODY])
    draft.put(
        "campaign_plan", campaign_id=np.array([number]), state="done", outlet="email", purpose="marketing", segment_ids="[]", exclude_ids="[]",
        holdout_pct=round(100 * draft.truth.letter_control_share), seed=draft.seed, window_days=30, goal="response", launched_at=np.array([launched]),
        finished_at=np.array([member["created_at"][rows].max()]), launched_by_id=draft.tables["campaign"]["owner_id"][number - 1 : number],
        funnel=[f"[{total}, {{}}, {total}, {held}]"], base_url="http://localhost:8501",
    )  # fmt: skip


def _messages(draft: Draft, number: int, sent: Array, contact: Array) -> None:
    member, contacts = draft.tables["campaign_member"], draft.tables["contact"]
    address = np.array(contacts["email"], dtype=object)[contact]
    at = member["created_at"][sent]
    draft.put(
        "mail_delivery", dedupe_key=[f"campaign:{number}:{one + 1}" for one in sent.tolist()], kind="campaign", purpose="marketing", state="sent", batch=f"campaign:{number}",
        address=[one or "unknown@mail.example" for one in address], address_key=[(one or "unknown@mail.example").lower() for one in address],
        name=np.array(contacts["name"], dtype=object)[contact], subject="Taste the new season first", headers="{}", keep=False, attempts=1,
        next_at=at, sent_at=at, contact_id=contact + 1, created_at=at, updated_at=at,
    )  # fmt: skip


def _steps(draft: Draft, rng: np.random.Generator, rows: Array, sent: Array, launched: np.datetime64) -> None:
    member = draft.tables["campaign_member"]
    n, never = len(member["campaign_id"]), np.datetime64("NaT", "us")
    status = np.array(member["status"], dtype=object)
    step = np.full(n, None, dtype=object)
    step[rows] = "holdout"
    step[sent] = "queued"
    mail = np.zeros(n, dtype=int)
    mail[sent] = np.arange(1, len(sent) + 1)
    is_sent = np.isin(np.arange(n), sent)
    seen = member["created_at"] + (rng.uniform(0.1, 20, n) * 3.6e9).astype("timedelta64[us]")
    opened = is_sent & (np.isin(status, ("opened", "clicked")) | ((status == "responded") & (rng.random(n) < 0.9)))
    clicked = is_sent & ((status == "clicked") | ((status == "responded") & (rng.random(n) < 0.8)))
    member |= {
        "step": step, "variant": only(is_sent, np.full(n, "A", dtype=object)), "mail_id": np.where(is_sent, mail, 0),
        "due_at": np.where(np.isin(np.arange(n), rows), launched, never), "opened_at": np.where(opened | clicked, seen, never),
        "clicked_at": np.where(clicked, seen, never),
    }  # fmt: skip
