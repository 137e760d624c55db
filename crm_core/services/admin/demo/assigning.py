"""Assignment in the demo company: rules, skills, points of leads, and the newest records without an owner really given to somebody by them."""

from sqlmodel import Session, col
from sqlmodel import select as fetch

from crm_core.access import system
from crm_core.models import (
    Lead,
    PointRule,
    RoutingRule,
    RoutingTurn,
    SpeedTarget,
    Ticket,
    User,
    WorkProfile,
    WorkQueue,
)
from crm_core.services.admin.demo.staff import with_role
from crm_core.services.routing import assign, points
from crm_core.vocabulary import LeadPointKind, RouteMethod, TicketKind

SKILLS = ("Question", "Problem", "Complaint", "Return", "Billing", "Feature request")
GIVEN = 6
FIT, BEHAVIOUR = LeadPointKind.FIT, LeadPointKind.BEHAVIOUR
POINTS = (
    PointRule(
        name="Came by referral or partner",
        kind=FIT,
        points=30,
        filter={"field": "source", "cmp": "in", "value": ["Referral", "Partner"]},
    ),
    PointRule(name="Company is known", kind=FIT, points=15, filter={"field": "company", "cmp": "not_empty"}),
    PointRule(name="No way to reach them by phone", kind=FIT, points=-10, filter={"field": "phone", "cmp": "empty"}),
    PointRule(name="Meeting held", kind=BEHAVIOUR, points=30, signal="activity.meeting", half_life_days=45, cap=60),
    PointRule(name="Spoken on the phone", kind=BEHAVIOUR, points=15, signal="activity.call", half_life_days=30, cap=45),
    PointRule(name="Touched by marketing", kind=BEHAVIOUR, points=5, signal="touch.any", half_life_days=21, cap=25),
)


def add(session: Session, *, count_points: bool) -> None:
    """Rules and people, then a few decisions that the rules made themselves."""
    agents, reps = with_role(session, "support_agent", 12), with_role(session, "sales_rep", 12)
    if not agents or not reps:
        return
    for place, user_id in enumerate(agents):
        skills = {name: 1 + (place * 2 + at * 3) % 5 for at, name in enumerate(SKILLS)}
        session.add(WorkProfile(user_id=user_id, skills=skills))
    team = session.exec(fetch(User.team_id).where(User.id == agents[0])).first()
    desk, front = (
        WorkQueue(name="Service desk", team_id=team, max_wait_minutes=120),
        WorkQueue(name="New leads", max_wait_minutes=240),
    )
    session.add_all([desk, front])
    session.flush()
    made = [
        RoutingRule(
            name="Service by skill", entity="ticket", rank=1, method=RouteMethod.CAPABLE, people=_people(agents), skill={"field": "category", "min": 2},
            weights={"skill": 0.5, "success": 0.3, "room": 0.2}, queue_id=desk.id,
        ),
        RoutingRule(
            name="Referrals to whoever has room", entity="lead", rank=2, method=RouteMethod.LEAST, people=_people(reps), queue_id=front.id,
            filter={"field": "source", "cmp": "in", "value": ["Referral", "Partner"]},
        ),
        RoutingRule(name="All other leads in turn", entity="lead", rank=3, method=RouteMethod.TURNS, people=_people(reps), queue_id=front.id),
    ]  # fmt: skip
    session.add_all(made)
    session.flush()
    session.add_all(RoutingTurn(rule_id=rule.id) for rule in made)
    session.add_all(PointRule(**rule.model_dump(exclude={"id", "created_at", "updated_at", "version"})) for rule in POINTS)
    session.add(SpeedTarget(source=None, minutes=240))
    session.flush()
    _give(session)
    if count_points:
        points.count_all(session)


def _people(ids: list[int]) -> list[dict[str, int]]:
    return [{"user_id": user_id, "weight": 1} for user_id in ids]


def _give(session: Session) -> None:
    """The newest records that have nobody."""
    tickets = (
        fetch(Ticket.id)
        .where(col(Ticket.owner_id).is_(None), Ticket.status == TicketKind.NEW)
        .order_by(col(Ticket.id).desc())
        .limit(GIVEN)
    )
    leads = fetch(Lead.id).where(col(Lead.owner_id).is_(None)).order_by(col(Lead.id).desc()).limit(GIVEN)
    for key, query in (("ticket", tickets), ("lead", leads)):
        for record_id in sorted(session.exec(query)):
            assign.route(session, system(), key, record_id, why="New")
