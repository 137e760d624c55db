"""What a campaign is going to do: audience, way out, wordings, hold-out. Changed freely until it is launched, then fixed."""

import secrets
from collections.abc import Mapping, Sequence
from typing import Any

from sqlmodel import Session, col, select

from crm_core import events, records
from crm_core.access import Actor
from crm_core.errors import Conflict, Invalid
from crm_core.kit.text import clean
from crm_core.models import Campaign, CampaignPlan, CampaignVariant
from crm_core.services.customers import consent
from crm_core.services.marketing import segments
from crm_core.services.marketing.letter_rules import MAX_BODY, MAX_SUBJECT
from crm_core.services.sales import promotions
from crm_core.vocabulary import Action, Outlet, PlanState, Purpose

GOALS = {"order": "Placed an order", "deal": "Won deal", "response": "Responded"}
MAX_SEGMENTS = 20
"""In one audience, and in the parts of all wordings of one campaign: ``CampaignMember.inside`` holds so many."""
MAX_VARIANTS = 4
OPEN = (PlanState.DRAFT, PlanState.SCHEDULED)
_NUMBERS = {"holdout_pct": (0, 50), "window_days": (1, 365)}


def get(session: Session, actor: Actor, campaign_id: int) -> CampaignPlan:
    """The plan of a campaign; a fresh one (not stored) when nobody planned yet."""
    records.get(session, actor, "campaign", campaign_id)
    found = session.exec(select(CampaignPlan).where(CampaignPlan.campaign_id == campaign_id)).first()
    if found is not None:
        return found
    workspace = consent.rules(session, actor)
    return CampaignPlan(campaign_id=campaign_id, holdout_pct=workspace.holdout_pct)


def stored(session: Session, actor: Actor, campaign_id: int) -> CampaignPlan:
    """The plan as a row, for those who may change the campaign."""
    records.get(session, actor, "campaign", campaign_id, action=Action.EDIT)
    plan = get(session, actor, campaign_id)
    if plan.id is None:
        plan.seed = secrets.randbelow(2**31 - 2) + 1
        session.add(plan)
        session.flush()
    return plan


def open_one(session: Session, actor: Actor, campaign_id: int) -> CampaignPlan:
    """The plan as a row, while nothing went out."""
    plan = stored(session, actor, campaign_id)
    _refuse_launched(plan)
    return plan


def save(
    session: Session, actor: Actor, campaign_id: int, changes: Mapping[str, Any], *, base_version: int | None = None
) -> CampaignPlan:
    """Change the plan while nothing went out. Events: campaign.plan_changed."""
    plan = open_one(session, actor, campaign_id)
    records.refuse_stale("the plan of this campaign", plan, base_version)
    cleaned = _checked(session, actor, changes)
    if set(cleaned.get("segment_ids", plan.segment_ids)) & set(cleaned.get("exclude_ids", plan.exclude_ids)):
        raise Invalid(fields={"exclude_ids": "A segment can't be both included and excluded."})
    before = {key: getattr(plan, key) for key in cleaned}
    for key, value in cleaned.items():
        setattr(plan, key, value)
    changed = {key: (before[key], value) for key, value in cleaned.items() if before[key] != value}
    if changed:
        session.add(plan)
        session.flush()
        events.record(session, actor, "campaign.plan_changed", session.get(Campaign, campaign_id), changes=changed)
    return plan


def _refuse_launched(plan: CampaignPlan) -> None:
    if plan.state not in OPEN:
        raise Conflict("This campaign was launched: its people and words stay as they were. Make a new one to change them.")


def _checked(session: Session, actor: Actor, changes: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for key, value in changes.items():
        if key in ("segment_ids", "exclude_ids"):
            found[key] = checked_segments(session, actor, value)
        elif key == "outlet":
            found[key] = Outlet(value)
        elif key == "purpose":
            found[key] = Purpose(value)
        elif key == "goal" and value in GOALS:
            found[key] = value
        elif key in _NUMBERS and _NUMBERS[key][0] <= int(value) <= _NUMBERS[key][1]:
            found[key] = int(value)
        elif key == "promotion_id":
            found[key] = promotions.get(session, actor, int(value)).id if value else None
        elif key in ("expected_base_pct", "expected_lift_points") and (value is None or 0 < float(value) < 100):
            found[key] = None if value is None else float(value)
        else:
            wrong[key] = "This value is not possible here."
    if wrong:
        raise Invalid(fields=wrong)
    return found


def checked_segments(session: Session, actor: Actor, ids: Sequence[int]) -> list[int]:
    """These segments, each once; refused when they are too many or one is not there."""
    wanted = list(dict.fromkeys(int(one) for one in ids))
    if len(wanted) > MAX_SEGMENTS:
        raise Invalid(f"At most {MAX_SEGMENTS} segments can be combined here.")
    for one in wanted:
        segments.get(session, actor, one)
    return wanted


# --- wordings ---------------------------------------------------------------------------------------------------------------


def variants(session: Session, actor: Actor, campaign_id: int) -> list[CampaignVariant]:
    """The wordings of a campaign, A first."""
    records.get(session, actor, "campaign", campaign_id)
    found = select(CampaignVariant).where(CampaignVariant.campaign_id == campaign_id).order_by(col(CampaignVariant.key))
    return list(session.exec(found))


def set_variants(
    session: Session,
    actor: Actor,
    campaign_id: int,
    rows: Sequence[Mapping[str, Any]],
    *,
    base_versions: Sequence[int] | None = None,
) -> list[CampaignVariant]:
    """Replace the wordings; each row: ``subject``, ``body``, ``weight``. Their letters follow the order. Events: campaign.letter_changed.

    Raises Conflict when the wordings are not those of ``base_versions`` any more, A first; ``details["rows"]`` holds one list, that of now.
    """
    open_one(session, actor, campaign_id)
    if len(rows) > MAX_VARIANTS:
        raise Invalid(f"At most {MAX_VARIANTS} wordings can be compared.")
    present = {one.key: one for one in variants(session, actor, campaign_id)}
    if base_versions is not None and list(base_versions) != [one.version for one in present.values()]:
        if [wording(row) for row in rows] == [wording(one.model_dump()) for one in present.values()]:
            return list(present.values())  # the same once more: a second click
        stands = [one.model_copy() for one in present.values()]
        raise Conflict("Somebody else changed this letter meanwhile. Look at theirs, then save yours again.", rows=[stands])
    for n, row in enumerate(rows):
        _set_one(session, present, campaign_id, "ABCD"[n], row)
    for key, one in present.items():
        if key not in "ABCD"[: len(rows)]:
            session.delete(one)
    session.flush()
    events.record(session, actor, "campaign.letter_changed", session.get(Campaign, campaign_id))
    return variants(session, actor, campaign_id)


def wording(row: Mapping[str, Any]) -> tuple[str, str, int]:
    """Subject, body and weight as they are kept: blanks around the subject go."""
    return clean(str(row.get("subject") or "")), str(row.get("body") or "").replace("\x00", ""), int(row.get("weight") or 1)


def _set_one(session: Session, present: dict[str, CampaignVariant], campaign_id: int, key: str, row: Mapping[str, Any]) -> None:
    subject, body, weight = wording(row)
    if len(subject) > MAX_SUBJECT or len(body) > MAX_BODY or not 1 <= weight <= 99:
        raise Invalid("The subject or the letter is too long, or the share is not between 1 and 99.")
    found = present.get(key) or CampaignVariant(campaign_id=campaign_id, key=key)
    found.subject, found.body, found.weight = subject, body, weight
    if "template_id" in row:
        found.template_id = row["template_id"]
    session.add(found)
