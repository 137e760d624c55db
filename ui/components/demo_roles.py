"""In the demo company only: look at it with the eyes of another role, and back again, by one click."""

from pathlib import Path

import streamlit as st

from crm_core.access import Actor
from crm_core.services.admin import workspace
from ui.cache import cached

_HERE = Path(__file__).parent
_ROLES = st.components.v2.component(
    "rapport_demo_roles",
    html='<div class="roles"></div>\n',
    css=(_HERE / "demo_roles.css").read_text(),
    js=(_HERE / "demo_roles.js").read_text(),
)


def role_switcher(actor: Actor) -> None:
    """Who one is at the moment, the way back to the administrator, and a list of the other roles. A real form: the door changes the cookie."""
    roles = cached(workspace.demo_roles, entities=(), tables=("organisation",), own=True)
    if not roles:
        return
    rows = [{"key": role.key, "name": role.name, "person": role.person, "on": role.user_id == actor.user_id} for role in roles]
    now = next((role for role in roles if role.user_id == actor.user_id), None)
    _ROLES(key="demo_roles", data={"roles": rows, "now": now.name if now else ""})
