"""What a new workspace starts with: roles, a pipeline, lead statuses, editable lists. Running it again adds only what is missing."""

from sqlmodel import Session, select

from crm_core import idleness
from crm_core.access.permissions import ROLES, RoleDefault
from crm_core.models import (
    LeadStatus,
    Organisation,
    PickOption,
    Pipeline,
    Role,
    RoleFieldMask,
    RolePermission,
    SavedView,
    Stage,
)
from crm_core.vocabulary import ForecastCategory, LeadKind, StageKind, Visibility

WORKING_HOURS = {str(day): [["09:00", "17:00"]] for day in range(5)}

STAGES = (
    ("Prospecting", StageKind.OPEN, 10, 30, ForecastCategory.PIPELINE),
    ("Qualified", StageKind.OPEN, 25, 21, ForecastCategory.PIPELINE),
    ("Proposal", StageKind.OPEN, 50, 14, ForecastCategory.BEST_CASE),
    ("Negotiation", StageKind.OPEN, 75, 10, ForecastCategory.COMMIT),
    ("Won", StageKind.WON, 100, None, ForecastCategory.CLOSED),
    ("Lost", StageKind.LOST, 0, None, ForecastCategory.OMITTED),
)

LEAD_STATUSES = (
    ("New", LeadKind.OPEN),
    ("Contacted", LeadKind.WORKING),
    ("Qualified", LeadKind.QUALIFIED),
    ("Unqualified", LeadKind.UNQUALIFIED),
    ("Nurture later", LeadKind.RECYCLED),
    ("Converted", LeadKind.CONVERTED),
)

_SOURCES = ("Website", "Referral", "Event", "Paid search", "Social media", "E-mail campaign", "Partner", "Cold call", "Other")
_INDUSTRIES = (
    "Software", "Technology", "Financial services", "Retail", "Manufacturing", "Health care", "Education", "Telecommunications",
    "Marketing", "Entertainment", "Employment", "Services", "Logistics", "Energy", "Public sector", "Other",
)  # fmt: skip
PICKS: dict[tuple[str, str], tuple[str, ...]] = {
    ("account", "industry"): _INDUSTRIES,
    ("contact", "source"): _SOURCES,
    ("lead", "source"): _SOURCES,
    ("deal", "source"): _SOURCES,
    ("order", "source"): ("Website", "Sales", "Shop", "Marketplace", "Phone", "Other"),
    ("lead", "disqualified_reason"): ("No budget", "No need", "Not reachable", "Competitor", "Duplicate", "Other"),
    ("deal", "lost_reason"): ("Price", "Competitor", "No decision", "Missing feature", "Timing", "No budget", "No reason given"),
    ("deal", "won_reason"): ("Product fit", "Price", "Relationship", "Service", "Speed", "No reason given"),
    ("deal", "competitor"): ("None", "In-house solution", "Unknown"),
    ("article", "category"): ("Getting started", "How to", "Problems", "Orders and delivery", "Returns", "Billing", "Other"),
    ("ticket", "category"): ("Question", "Problem", "Complaint", "Return", "Billing", "Feature request", "Other"),
}


VIEW_COLUMNS = ("name", "account_id", "stage_id", "owner_id", "amount_minor", "last_contact_at", "next_step", "next_step_on")


def install(session: Session) -> None:
    """Bring the defaults in. Idempotent: what an administrator changed stays as it is."""
    for role in ROLES:
        _install_role(session, role)
    if session.exec(select(Pipeline)).first() is None:
        create_pipeline(session, "Sales", is_default=True)
    if session.exec(select(LeadStatus)).first() is None:
        session.add_all(LeadStatus(label=label, kind=kind, position=n) for n, (label, kind) in enumerate(LEAD_STATUSES))
    _install_picks(session)
    session.flush()


def organisation(session: Session) -> Organisation | None:
    """The workspace's settings; None before the first visit was answered."""
    return session.exec(select(Organisation)).first()


def create_organisation(
    session: Session, name: str, *, currency: str = "USD", timezone: str = "UTC", locale: str = "en_US", is_demo: bool = False
) -> Organisation:
    """Create the settings row of a new workspace."""
    row = Organisation(name=name, currency=currency, timezone=timezone, locale=locale, working_hours=WORKING_HOURS, is_demo=is_demo)
    session.add(row)
    session.flush()
    return row


def create_views(session: Session, owner_id: int) -> None:
    """The views of deals that everybody finds in a new workspace: what stands still, and what nobody has a next step for, the largest first."""
    for name, rule in (("Idle", idleness.IDLE), ("No next step", idleness.NO_NEXT_STEP)):
        is_open = {"field": "outcome", "cmp": "eq", "value": StageKind.OPEN.value}
        layout = {
            "columns": list(VIEW_COLUMNS), "q": "", "sort": ["amount_minor", True], "filter": {"op": "and", "items": [is_open, rule]},
        }  # fmt: skip
        session.add(SavedView(entity="deal", name=name, owner_id=owner_id, visibility=Visibility.SHARED, layout=layout))
    session.flush()


def create_pipeline(session: Session, name: str, *, is_default: bool = False) -> Pipeline:
    """Create a pipeline with the usual stages."""
    pipeline = Pipeline(name=name, is_default=is_default)
    session.add(pipeline)
    session.flush()
    for position, (label, kind, probability, idle, category) in enumerate(STAGES):
        session.add(
            Stage(
                pipeline_id=pipeline.id,
                name=label,
                kind=kind,
                position=position,
                probability_pct=probability,
                max_idle_days=idle,
                forecast_category=category,
            )
        )
    session.flush()
    return pipeline


def _install_role(session: Session, default: RoleDefault) -> None:
    if session.exec(select(Role).where(Role.key == default.key)).first() is not None:
        return
    role = Role(key=default.key, name=default.name, description=default.description)
    session.add(role)
    session.flush()
    grants = {(entity, action): scope for entity, action, scope in default.grants}
    for (entity, action), scope in grants.items():
        session.add(RolePermission(role_id=role.id, entity=entity, action=action, scope=scope))
    for entity, key in default.masks:
        session.add(RoleFieldMask(role_id=role.id, entity=entity, field_key=key))


def _install_picks(session: Session) -> None:
    known = {(row.entity, row.field_key) for row in session.exec(select(PickOption))}
    for (entity, key), values in PICKS.items():
        if (entity, key) not in known:
            session.add_all(PickOption(entity=entity, field_key=key, value=value, position=n) for n, value in enumerate(values))
