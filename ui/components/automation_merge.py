"""An automation as parts that two people may have changed. What begins it belongs together, and so do all its steps: they are asked about as a whole."""

from collections.abc import Mapping
from typing import Any

from crm_core.services.automation import automations, flow_rules
from ui import format as fmt
from ui.actions import load
from ui.components.automation_words import again, filter_words, to_compare
from ui.components.parts_clash import Part

_TOGETHER = {"when": ("trigger", "before"), "again": ("reentry", "rest_days")}
_ALONE = ("if", "goal", "steps")


def parts_of(name: str, flow: Mapping[str, Any], cap: int) -> dict[str, Any]:
    """The parts of an automation as it stands."""
    tidy = flow_rules.tidy(dict(flow))
    together = {part: {key: tidy[key] for key in keys} for part, keys in _TOGETHER.items()}
    return {"name": name, "cap": cap, **together, **{key: tidy[key] for key in _ALONE}}


def flow_of(entity: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """The flow that these parts make."""
    found: dict[str, Any] = {"entity": entity, **{key: values[key] for key in _ALONE}}
    for part in _TOGETHER:
        found |= values[part]
    return found


def words(entity: str) -> dict[str, Part]:
    """What is asked about, each part in plain words."""

    def asked(ast: Any) -> str:
        return load(filter_words, entity, ast) if ast else ""

    def begins(value: Mapping[str, Any]) -> str:
        when = load(automations.told, {"entity": entity, "trigger": value["trigger"]}).when
        return when + (f", and before the change {asked(value['before'])}" if value["before"] else "")

    def steps(value: Any) -> str:
        return "\n".join(to_compare(load(automations.told, {"entity": entity, "steps": value}), value))

    return {
        "name": Part("Name"), "when": Part("When", begins), "if": Part("If", asked), "steps": Part("Then", steps, long=True),
        "goal": Part("Ends early", asked), "again": Part("The same record again", again), "cap": Part("At most an hour", lambda cap: fmt.plural(cap, "run")),
    }  # fmt: skip
