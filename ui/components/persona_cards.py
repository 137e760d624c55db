"""A card per persona: who they are, how sure that is, what they like, what to do."""

from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from crm_core.services.analytics import persona_voices, segmentation_rows
from crm_core.services.analytics.segment_rules import readable, rule_words
from crm_core.vocabulary import Channel
from ui import format as fmt
from ui.actions import load
from ui.cache import cached
from ui.components.analysis import Analysis
from ui.components.segment_actions import published_rule, segment_buttons
from ui.components.segmentation_views import money

_CHANNELS = Channel.options()


def persona_cards(shown: Analysis) -> None:
    """Two columns of cards, the largest persona first; below them, what is left out of what customers said. What they say and buy is read when the rest
    is to be seen already."""
    columns = st.columns(2, gap="small")
    places = {}
    for n, card in enumerate(shown.summary["cards"]):
        with columns[n % 2], st.container(border=True, key=f"persona_{card['segment']}", gap="small"):
            places[card["segment"]] = _card(shown, card)
    voices = _voices(shown)
    for segment, place in places.items():
        with place:
            _voice(shown, voices.get(segment, persona_voices.Voice()))
    if any(voice.quotes for voice in voices.values()):
        st.caption(
            ":material/visibility_off: In what customers said, […] stands for mail and web addresses, numbers, names of contacts, leads, accounts and "
            "colleagues of this workspace, and whatever follows a title such as Mr or Dr. Other names can remain."
        )


def _card(shown: Analysis, card: dict[str, Any]) -> DeltaGenerator:
    """Draws a card; gives the place for what its people say and buy."""
    actor = shown.actor
    st.markdown(f"#### {fmt.md(readable(card['name']))}")
    worth = ""
    if card["value"]:
        middle, low, high = (money(actor, value) for value in card["value"])
        worth = f" · {middle} a head in 12 months ({low} to {high})"
    st.caption(fmt.md(f"{fmt.plural(card['n'], 'customer')} ({card['share']:.0%}){worth}"))
    if card["traits"]:
        st.markdown("\n".join(f"- {fmt.md(readable(trait, actor.currency))}" for trait in card["traits"]))
    _likes(card)
    place = st.container(gap="small")
    if card["held_out"]:
        st.caption("**Not used to make the personas**\n" + "\n".join(f"- {fmt.md(readable(text))}" for text in card["held_out"]))
    if card["rule"] is not None:
        st.caption(f":material/rule: {fmt.md(rule_words(card['rule_words'], actor.currency))}")
        if card["precision"] is not None and card["recall"] is not None:
            st.caption(
                f"{card['precision']:.0%} of those whom this rule finds belong here; it finds {card['recall']:.0%} of the persona."
            )
    st.markdown(f":material/lightbulb: {fmt.md(_suggestion(card))}")
    with st.container(horizontal=True, gap="small"):
        segment_buttons(
            f"persona_{card['segment']}",
            entity=shown.run.params["customer"],
            name=readable(card["name"])[:120],
            source={"kind": "persona", "run_id": shown.run.id, "label": card["name"]},
            rule=card["rule"] or published_rule(shown, "persona", card["name"]),
            members=lambda: load(segmentation_rows.of_persona, shown.run.id, card["segment"]),
            count=card["n"],
        )
    return place


def _likes(card: dict[str, Any]) -> None:
    """Preferred channel and categories, with how much more than the average."""
    parts = []
    if card["channel"]:
        name, lift, low, high = card["channel"]
        parts.append(
            f"Reached by {_CHANNELS.get(name, name)} ({fmt.written(lift, '.1f')} times the average, {fmt.written(low, '.1f')} to {fmt.written(high, '.1f')})"
        )
    parts += [
        f"{name} ({fmt.written(lift, '.1f')} times, {fmt.written(low, '.1f')} to {fmt.written(high, '.1f')})"
        for name, lift, low, high in card["categories"]
    ]
    if parts:
        st.caption(f":material/favorite: {fmt.md(' · '.join(parts))}")


def _voices(shown: Analysis) -> dict[int, persona_voices.Voice]:
    """What they say, complain about and buy, as the reader sees it now; shared pages have none of it."""
    if shown.run.finished_at is None:
        return {}
    with st.spinner("Reading what they say and buy …"):
        return cached(
            persona_voices.of_run, shown.run.id, entities=("contact", "account", "ticket", "order", "product"),
            tables=("survey_answer", "ticket_message", "order_line", "product", "lead", "app_user"), own=True,
        )  # fmt: skip


def _voice(shown: Analysis, found: persona_voices.Voice) -> None:
    lines = [f":material/inventory_2: Buy most: {_shares(found.products)}"] if found.products else []
    lines += [f":material/report: Write about: {_shares(found.complaints)}"] if found.complaints else []
    for line in lines:
        st.caption(line)
    for quote in found.quotes:
        source = "in a survey" if quote.source == "survey" else "in a letter"
        st.markdown(
            f"> {fmt.md(quote.text)}  \n> :small[:gray[A customer, {source}, {fmt.md(fmt.day(shown.actor, fmt.local(shown.actor, quote.at).date()))}]]"
        )


def _shares(rows: Any) -> str:
    return " · ".join(fmt.md(f"{one.name} {one.share:.0%} (of all {one.of_all:.0%})") for one in rows)


def _suggestion(card: dict[str, Any]) -> str:
    text = str(card["suggestion"])
    if card["channel"]:
        text = text.replace(f"by {card['channel'][0]} ", f"by {_CHANNELS.get(card['channel'][0], card['channel'][0]).lower()} ")
    return text
