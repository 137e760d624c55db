"""Automations in words: when, if, then, as a list that reads from top to bottom."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from crm_core.entities import label_of
from crm_core.errors import CrmError
from crm_core.services.automation.automations import Story
from crm_core.vocabulary import Reentry
from ui import format as fmt
from ui.actions import load
from ui.components.filter_inputs import words_of


def filter_words(session: Any, actor: Any, entity: str, ast: Mapping[str, Any] | None) -> str:
    """A filter as a sentence, also one that can't be read any more. Plain text."""
    try:
        return words_of(session, actor, entity, ast)
    except (CrmError, KeyError):
        return "a condition that can't be read any more"


def in_words(told: Story) -> str:
    """When and on what condition, then each step: for the card of an automation. Markdown."""
    asked = f", if {fmt.md(load(filter_words, told.entity, told.filter))}" if told.filter else ""
    return f"**{fmt.md(told.when)}**{asked}\n" + "\n".join(lines(told, told.flow.get("steps") or (), 0))


def at_length(told: Story) -> str:
    """The whole automation, with what ends it and how often it takes up a record. Markdown."""
    flow, said = told.flow, [f"**When:** {fmt.md(told.when or '…')}"]
    for place, words in (("if", "**If**"), ("before", "**and before the change**")):
        if flow.get(place):
            said.append(f"{words} {fmt.md(load(filter_words, told.entity, flow[place]))}")
    said.append("**Then:**\n" + ("\n".join(lines(told, flow.get("steps") or (), 0)) or "- …"))
    if flow.get("goal"):
        said.append(f"**Ends early when** {fmt.md(load(filter_words, told.entity, flow['goal']))}")
    said.append(f"**The same {fmt.md(label_of(told.entity).lower())}:** {again(flow)}")
    return "\n\n".join(said)


def again(flow: Mapping[str, Any]) -> str:
    """How often the same record is taken up."""
    rest = int(flow.get("rest_days") or 0)
    words = Reentry(flow.get("reentry") or Reentry.IDLE.value).label.lower()
    return words + (f", not within {fmt.plural(rest, 'day')}" if rest and flow.get("reentry") != Reentry.ONCE.value else "")


def lines(told: Story, steps: Sequence[Mapping[str, Any]], depth: int) -> Iterator[str]:
    """The steps as a list in Markdown; the second arm of a branch begins with "Otherwise"."""
    indent = "  " * depth
    for step in steps:
        yield f"{indent}- {fmt.md(sentence(told, step))}"
        if step.get("kind") == "branch":
            yield from lines(told, step.get("yes") or (), depth + 1) if step.get("yes") else [f"{indent}  - nothing"]
            if step.get("no"):
                yield f"{indent}- Otherwise"
                yield from lines(told, step["no"], depth + 1)


def to_compare(told: Story, steps: Sequence[Mapping[str, Any]], depth: int = 0) -> Iterator[str]:
    """The steps line by line as plain text, with the longer texts in them: to lay two states of them beside each other."""
    indent = "  " * depth
    for step in steps:
        said = sentence(told, step)
        yield f"{indent}{said}"
        for key, value in step.items():
            if key not in ("id", "kind") and isinstance(value, str) and len(value) > SHORT and value not in said:
                yield from (f"{indent}  {line}" for line in value.splitlines() if line.strip())
        if step.get("kind") == "branch":
            yield from to_compare(told, step.get("yes") or (), depth + 1)
            yield f"{indent}Otherwise"
            yield from to_compare(told, step.get("no") or (), depth + 1)


SHORT = 12
"""Letters of a value of a step up to which it is a choice, and no text."""


def sentence(told: Story, step: Mapping[str, Any]) -> str:
    """One step in words. Plain text."""
    if step.get("kind") == "branch":
        return "If " + (load(filter_words, told.entity, step["if"]) if step.get("if") else "…")
    return told.sentences.get(str(step.get("id")), "…")
