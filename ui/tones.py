"""Which colour a state has, the same on every page."""

from collections.abc import Iterable
from typing import Any

from crm_core.services.sales.deals import StageView
from crm_core.vocabulary import (
    AccountKind,
    ArticleState,
    BookingState,
    CampaignStatus,
    Channel,
    GuestState,
    HandoverState,
    ImportState,
    InboundChannel,
    InboundState,
    LeadKind,
    OrderStatus,
    PersonState,
    Priority,
    PromotionState,
    SlaState,
    StageKind,
    SubmissionState,
    TaskStatus,
    TicketKind,
)

TONES: dict[Any, str] = {
    StageKind.OPEN: "blue", StageKind.WON: "green", StageKind.LOST: "red",
    LeadKind.OPEN: "blue", LeadKind.WORKING: "violet", LeadKind.QUALIFIED: "green", LeadKind.UNQUALIFIED: "gray",
    LeadKind.RECYCLED: "orange", LeadKind.CONVERTED: "green",
    AccountKind.PROSPECT: "blue", AccountKind.CUSTOMER: "green", AccountKind.FORMER: "gray", AccountKind.PARTNER: "violet", AccountKind.VENDOR: "orange",
    OrderStatus.DRAFT: "gray", OrderStatus.PLACED: "blue", OrderStatus.FULFILLED: "green", OrderStatus.CANCELLED: "red",
    TicketKind.NEW: "blue", TicketKind.OPEN: "violet", TicketKind.WAITING_CUSTOMER: "orange", TicketKind.WAITING_THIRD: "orange",
    TicketKind.SOLVED: "green", TicketKind.CLOSED: "gray",
    ArticleState.DRAFT: "gray", ArticleState.PUBLISHED: "green", ArticleState.ARCHIVED: "gray",
    Priority.LOW: "gray", Priority.NORMAL: "blue", Priority.HIGH: "orange", Priority.URGENT: "red",
    SlaState.RUNNING: "blue", SlaState.PAUSED: "gray", SlaState.BREACHED: "red", SlaState.MET: "green", SlaState.MET_LATE: "orange",
    SubmissionState.LEAD: "green", SubmissionState.KNOWN: "blue", SubmissionState.TWICE: "gray", SubmissionState.SPAM: "gray", SubmissionState.FAILED: "red",
    PersonState.ACTIVE: "green", PersonState.INVITED: "orange", PersonState.DEACTIVATED: "gray",
    HandoverState.PENDING: "orange", HandoverState.ACCEPTED: "green", HandoverState.DECLINED: "red", HandoverState.WITHDRAWN: "gray",
    TaskStatus.OPEN: "blue", TaskStatus.DONE: "green", TaskStatus.CANCELLED: "gray",
    CampaignStatus.DRAFT: "gray", CampaignStatus.SCHEDULED: "blue", CampaignStatus.RUNNING: "green", CampaignStatus.PAUSED: "orange",
    CampaignStatus.COMPLETED: "violet",
    PromotionState.DRAFT: "gray", PromotionState.RUNNING: "green", PromotionState.PAUSED: "orange", PromotionState.ENDED: "violet",
    ImportState.DONE: "green", ImportState.DONE_WITH_ERRORS: "orange", ImportState.FAILED: "red", ImportState.REVERTED: "gray",
    InboundState.TICKET: "green", InboundState.THREAD: "blue", InboundState.TIMELINE: "violet", InboundState.REPLY: "green", InboundState.TRAY: "orange",
    InboundState.AUTO: "gray", InboundState.BOUNCE: "red", InboundState.OWN: "gray", InboundState.DISCARDED: "gray", InboundState.FILED: "violet",
    **dict.fromkeys(InboundChannel, "gray"),
    GuestState.INVITED: "gray", GuestState.ACCEPTED: "green", GuestState.TENTATIVE: "orange", GuestState.DECLINED: "red",
    BookingState.BOOKED: "blue", BookingState.CANCELLED: "gray", BookingState.ATTENDED: "green", BookingState.NO_SHOW: "red",
    **dict.fromkeys(Channel, "gray"),
}  # fmt: skip
_OPEN_STAGES = ("gray", "blue", "violet", "orange", "yellow")


def stage_tones(stages: Iterable[StageView]) -> dict[int, str]:
    """Stage id → colour: open stages walk from grey to yellow in their order, won is green, lost red."""
    tones: dict[int, str] = {}
    place: dict[int, int] = {}
    for stage in stages:
        if stage.kind is StageKind.OPEN:
            at = place.get(stage.pipeline_id, 0)
            tones[stage.id] = _OPEN_STAGES[min(at, len(_OPEN_STAGES) - 1)]
            place[stage.pipeline_id] = at + 1
        else:
            tones[stage.id] = TONES[stage.kind]
    return tones
