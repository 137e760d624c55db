"""What a shared page or a mailed report shows: the tiles of a dashboard as its owner sees them, small groups hidden for strangers."""

from collections.abc import Mapping
from typing import Any

from sqlmodel import Session

from crm_core import format as fmt
from crm_core.access import Actor, require
from crm_core.db import versions
from crm_core.entities import RECORDS, entity
from crm_core.kit.clock import utcnow
from crm_core.services.analytics import dashboards, metrics, paper, shared_runs, sharing, suppression, tiles
from crm_core.services.analytics.metric_slots import Selection
from crm_core.services.analytics.metrics import Figure
from crm_core.services.analytics.paper import Sheet
from crm_core.services.analytics.sharing import Opened
from crm_core.services.analytics.tiles import Look
from crm_core.vocabulary import Action, ShareKind, TileKind

_BESIDE = (
    "dashboard", "dashboard_tile", "dashboard_note", "share_link", "app_user", "user_closure", "user_role", "role_permission",
    "role_field_mask", "organisation", "custom_field", "pick_option", "stage", "pipeline", "stage_event", "campaign_channel", "analysis_run",
)  # fmt: skip


def freshness(session: Session, actor: Actor) -> tuple[tuple[str, int], ...]:
    """The versions of every table that a page may be made of: a page drawn under the same ones is still right."""
    require(actor, "analytics", Action.READ)
    return versions(session, {*(entity(key).table.name for key in RECORDS), *_BESIDE})


def page(session: Session, opened: Opened, *, icon: str = "") -> str:
    """The document behind an opened link."""
    actor = opened.actor
    shared = f"Shared by {actor.name}. Works until {fmt.day(actor, fmt.local(actor, opened.expires_at).date())}."
    if opened.kind is ShareKind.RUN:
        return shared_runs.page(session, opened, (shared, "Rows about fewer than five records are not shown."), icon=icon)
    found = dashboards.get(session, actor, opened.target_id)
    look = sharing.look_of(session, actor, opened.filters, found.settings)
    foot = (
        shared,
        f"As of {fmt.instant(actor, utcnow())} ({actor.timezone}). Only what {actor.name} may see; groups of fewer than five records are not shown.",
    )
    sheet = sheet_of(
        session, actor, found.id, look, title=opened.label or found.name, lead=found.description, foot=foot, shielded=True
    )
    return paper.document(actor, sheet, look, icon=icon)


def sheet_of(
    session: Session,
    actor: Actor,
    dashboard_id: int,
    look: Look,
    *,
    title: str,
    lead: str = "",
    foot: tuple[str, ...] = (),
    shielded: bool,
) -> Sheet:
    """A dashboard as a document. ``shielded``: for people outside, so that no figure tells about fewer than five records."""
    require(actor, "analytics", Action.READ)
    known: dict[tuple[str, Selection], tuple[Figure, ...]] = {}

    def overview(session: Session, actor: Actor, area: str, selection: Selection) -> tuple[Figure, ...]:
        if (area, selection) not in known:
            known[area, selection] = metrics.overview(session, actor, area, selection)
        return known[area, selection]

    made = []
    for row in dashboards.tiles(session, actor, dashboard_id):
        tile = tiles.evaluate(session, actor, row.kind, row.spec, look, row.title, overview)
        made.append((_shield(tile, row.kind, row.spec) if shielded else tile, row.width))
    notes = dashboards.notes(session, actor, dashboard_id)
    return Sheet(title, lead, paper.facts_of(actor, look), made, foot, notes)


def _shield(tile: tiles.Tile, kind: TileKind, spec: Mapping[str, Any]) -> tiles.Tile:
    paths = [axis["field"] for axis in (spec.get("rows"), spec.get("columns")) if axis] if kind is TileKind.PIVOT else [""]
    for path in paths:
        shielded = suppression.shielded(tile, path)
        if shielded.reason == suppression.NAMES:
            return shielded
    return shielded
