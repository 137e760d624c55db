"""What a list says while there is nothing in it: what this person can do about it, and no word of what their role can't."""

from collections.abc import Callable

from crm_core.access import Actor
from crm_core.entities import entity
from crm_core.vocabulary import Action
from ui.components.header import empty_state
from ui.navigation import go, page_of


def nothing_yet(actor: Actor, entity_key: str, words: str, new: Callable[[], None], *, file_words: str = "") -> None:
    """The empty list of a kind of record. ``words`` tell how to begin, ``file_words`` go on about a file."""
    found = entity(entity_key)
    may_create = actor.can(entity_key, Action.CREATE)
    may_import = bool(file_words) and actor.can(entity_key, Action.IMPORT) and page_of(actor, "import") is not None
    text = f"{words}{file_words if may_import else ''}." if may_create else f"{found.plural} that you may see will stand here."
    box = empty_state(f"No {found.plural.lower()} yet", text, icon=found.icon)
    if may_create and box.button(f"New {found.label.lower()}", icon=":material/add:", key=f"first_{entity_key}"):
        new()
    if may_import and box.button("Import a file", icon=":material/upload:", key="first_import"):
        go("import", kind=entity_key)
