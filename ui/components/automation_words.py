"""Automations in words: when, if, then, as a list that reads from top to bottom."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from crm_core.entities import label_of
from crm_core.errors import CrmError
from crm_core.services.automation.automations import Story
from crm_core.services.automation.steps import kinds
from crm_core.vocabulary import Reentry
from ui import format as fmt
from ui.actions import load
from ui.components.filter_inputs import words_of
from ui.session import current_actor


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
    """The steps line by line as plain text, with everything of them that the sentence leaves out: to lay two states of them beside each other."""
    indent = "  " * depth
    for step in steps:
        said = sentence(told, step)
        yield f"{indent}{said}"
        yield from (f"{indent}  {line}" for line in _unsaid(step, said))
        if step.get("kind") == "branch":
            yield from to_compare(told, step.get("yes") or (), depth + 1)
            yield f"{indent}Otherwise"
            yield from to_compare(told, step.get("no") or (), depth + 1)


def _unsaid(step: Mapping[str, Any], said: str) -> Iterator[str]:
    """What a step holds beside its sentence: its texts, and each choice with its name. Records are named by the sentence."""
    kind = kinds().get(str(step.get("kind")))
    for param in kind.params if kind is not None else ():
        value = step.get(param.key)
        if value is False or value in (None, "", param.default) or param.type not in _UNNAMED:
            continue
        words = fmt.money(current_actor(), value) if param.type == "money" else str(param.options.get(value, value))
        if words not in said:
            yield from words.splitlines() if param.type in _TEXTS else [f"{param.label}: {words}"]


_TEXTS = ("text", "long", "template")
_UNNAMED = (*_TEXTS, "number", "money", "hour", "choice", "value")


def sentence(told: Story, step: Mapping[str, Any]) -> str:
    """One step in words. Plain text."""
    if step.get("kind") == "branch":
        return "If " + (load(filter_words, told.entity, step["if"]) if step.get("if") else "…")
    return told.sentences.get(str(step.get("id")), "…")
