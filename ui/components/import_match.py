"""The columns of an import: each with what is in it, the field it becomes, and how it is read."""

from dataclasses import replace
from typing import Any

import streamlit as st

from crm_core.entities import entity
from crm_core.services.admin.custom_fields import KINDS
from crm_core.services.admin.imports import desk, runs
from crm_core.services.admin.imports.formats import DATE_ORDERS, DECIMAL_MARKS
from crm_core.services.admin.imports.plan import Mode, Unknown
from crm_core.services.admin.imports.sniff import DELIMITERS, ENCODINGS, QUOTES
from crm_core.vocabulary import FieldKind
from ui import format as fmt
from ui.actions import load, perform
from ui.components.whole_input import whole_number
from ui.session import current_actor

FACTORS = {
    "1": "as it is",
    "1000": "in thousands",
    "1000000": "in millions",
    "1000000000": "in billions",
    "0.01": "in hundredths (cents)",
}
UNKNOWN = {Unknown.REJECT: "Reject the row", Unknown.ADD: "Create what is missing", Unknown.EMPTY: "Leave the field empty"}
SHOWN_VALUES = 25
_LAYOUT: tuple[tuple[str, str, dict[str, str]], ...] = (
    ("encoding", "Encoding", ENCODINGS),
    ("delimiter", "Delimiter", DELIMITERS),
    ("quote", "Quotation mark", QUOTES),
)


def bound(name: str, value: Any) -> str:
    """The key of a control that shows what the plan says, also when another control has just changed the plan."""
    st.session_state[name] = value
    return name


def other_kinds(found: desk.Desk) -> None:
    """A file of companies that is read as products: say so, and read it as what its columns fit."""
    kinds = load(desk.better_kinds, found.run.id)
    if not kinds:
        return
    with st.container(border=True, gap="small", key="other_kinds"):
        *others, last = (_plural(key).lower() for key in kinds)
        named = f"{', '.join(others)} or {last}" if others else last
        st.markdown(f":material/help: Are these really {runs.entity_words(found.run)}? More of the columns fit {named}.")
        with st.container(horizontal=True, gap="small"):
            for key in kinds:
                st.button(
                    f"Read as {_plural(key).lower()}",
                    key=f"read_as_{key}",
                    on_click=perform,
                    args=(runs.relayout, found.run.id, {"entity": key}),
                    kwargs={"drawn": found.run},
                )


def columns(found: desk.Desk) -> None:
    """One line per column of the file."""
    used = sum(bool(line.target) for line in found.lines)
    st.subheader("Columns", anchor=False)
    st.caption(f"{used} of {fmt.plural(len(found.lines), 'column')} are imported. Fields with * are needed.")
    if found.locked:
        named = ", ".join(fmt.md(label) for label in found.locked.values())
        st.caption(f":material/lock: Your role can't write {named}, so no column goes there.")
    with st.container(border=True, key="import_columns", gap="small"):
        for n, line in enumerate(found.lines):
            _column(found, n, line)


def _column(found: desk.Desk, n: int, line: desk.Line) -> None:
    left, middle, right = st.columns([4, 4, 4], vertical_alignment="center")
    name = left.container(gap=None)
    name.markdown(f"**{fmt.md(line.header)}**")
    name.caption(fmt.md(" · ".join(sample[:24] for sample in line.samples[:3])) or "_empty_")
    options = ["", *found.fields, *([desk.NEW_FIELD] if found.may_add_fields else [])]
    words = {"": "Do not import", desk.NEW_FIELD: "+ New field", **found.fields}
    middle.selectbox(
        f"Field for {line.header}",
        options,
        format_func=lambda key: words[key],
        key=bound(f"to_{n}", line.target),
        label_visibility="collapsed",
        on_change=_match,
        args=(found.run.id, line.header, f"to_{n}"),
    )
    with right.container(horizontal=True, vertical_alignment="center", gap="small"):
        _how(found, n, line)


def _match(run_id: int, header: str, key: str) -> None:
    perform(desk.match_column, run_id, header, st.session_state[key])


def _set(run_id: int, header: str, name: str, key: str) -> None:
    perform(desk.set_column, run_id, header, **{name: st.session_state[key]})


def _how(found: desk.Desk, n: int, line: desk.Line) -> None:
    """The controls that fit the column, and what it comes to."""
    settings = [name for name in ("date", "decimal", "unknown") if getattr(line, name)]
    if not settings and line.new is None:
        return
    label = "New field" if line.new else {"date": "Date", "decimal": "Number", "unknown": "Unknown values"}[settings[0]]
    with st.popover(label, type="tertiary", icon=":material/warning:" if line.doubtful else ":material/tune:", key=f"how_{n}"):
        if line.new is not None:
            _new_field(found.run.id, n, line)
        for name in settings:
            {"date": _date, "decimal": _decimal, "unknown": _unknown}[name](found.run.id, n, line)
    if line.example:
        st.caption((":orange[Please check:] " if line.doubtful else "") + fmt.md(line.example))


def _choice(label: str, options: dict[Any, str], run_id: int, line: desk.Line, name: str, n: int, **more: Any) -> None:
    key = f"{name}_{n}"
    st.selectbox(
        label, list(options), format_func=lambda one: options[one], key=bound(key, getattr(line, name)), on_change=_set,
        args=(run_id, line.header, name, key), **more,
    )  # fmt: skip


def _date(run_id: int, n: int, line: desk.Line) -> None:
    _choice("Dates are written as", DATE_ORDERS, run_id, line, "date", n)


def _decimal(run_id: int, n: int, line: desk.Line) -> None:
    _choice("Decimal mark", DECIMAL_MARKS, run_id, line, "decimal", n)
    factors = FACTORS if line.factor in FACTORS else {**FACTORS, line.factor: f"times {line.factor}"}
    _choice("The file gives numbers", factors, run_id, line, "factor", n)


def _unknown(run_id: int, n: int, line: desk.Line) -> None:
    _choice("When a value is not known here", {each: UNKNOWN[each] for each in line.offers}, run_id, line, "unknown", n)
    if line.found_by:
        _choice("Records are found by", {"": "their name", **line.found_by}, run_id, line, "by", n)


def _new_field(run_id: int, n: int, line: desk.Line) -> None:
    assert line.new is not None
    label, kind, pii = f"new_label_{n}", f"new_kind_{n}", f"new_pii_{n}"

    def keep() -> None:
        assert line.new is not None
        state = st.session_state
        changed = replace(line.new, label=state[label].strip() or line.new.label, kind=FieldKind(state[kind]), pii=state[pii])
        perform(desk.set_column, run_id, line.header, new=changed)

    st.text_input("Name of the field", key=bound(label, line.new.label), max_chars=120, on_change=keep)
    st.selectbox("Kind", list(KINDS), format_func=lambda one: one.label, key=bound(kind, line.new.kind), on_change=keep)
    st.toggle(
        "Personal data", key=bound(pii, line.new.pii), on_change=keep, help="Hidden from roles that must not see personal data"
    )


# --- values that no list has ---------------------------------------------------------------------------------------------------


def values(found: desk.Desk) -> None:
    """What the values mean that no list has, with suggestions."""
    key = f"questions_{found.run.id}_{found.run.version}"
    if key not in st.session_state:
        st.session_state[key] = load(desk.questions, found.run.id)
    questions, choices = st.session_state[key]
    if not questions:
        return
    st.subheader("Values that the lists do not have", anchor=False)
    open_ones = sum(not each.decided and bool(each.suggestion) for each in questions)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(
            "Say what they mean here; what was surely meant is filled in. Whatever stays open follows the rule of its column.",
            width="content",
        )
        if open_ones and st.button(
            f"Accept {fmt.plural(open_ones, 'suggestion')}", icon=":material/auto_fix_high:", key="accept_suggestions"
        ):
            perform(runs.accept_suggestions, found.run.id, from_score=0)
            st.rerun()
    for header in dict.fromkeys(each.header for each in questions):
        _values_of(found, header, [each for each in questions if each.header == header], choices.get(header, []))


def _values_of(found: desk.Desk, header: str, of_column: list[desk.Question], known: list[str]) -> None:
    rule = next((UNKNOWN[line.unknown].lower() for line in found.lines if line.header == header and line.unknown), "")
    line = next((line for line in found.lines if line.header == header), None)
    with st.expander(f"{fmt.md(header)}: {fmt.plural(len(of_column), 'value')}", expanded=len(of_column) <= 8):
        if line is not None and line.unknown is Unknown.REJECT and Unknown.ADD in line.offers:
            _offer_to_create(found.run.id, header)
        for n, each in enumerate(of_column[:SHOWN_VALUES]):
            _value(found.run.id, n, each, known, rule)
        if len(of_column) > SHOWN_VALUES:
            st.caption(f"{len(of_column) - SHOWN_VALUES} more follow the rule of the column: {rule}.")


def _offer_to_create(run_id: int, header: str) -> None:
    """The usual answer to many unknown names: they are new, so make them on the way."""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption("Rows with these values are rejected, unless you choose a known one or let them be created.", width="content")
        st.button(
            "Create what is missing", icon=":material/add:", key=f"create_missing_{header}", on_click=perform,
            args=(desk.set_column, run_id, header), kwargs={"unknown": Unknown.ADD},
        )  # fmt: skip


def _value(run_id: int, n: int, each: desk.Question, known: list[str], rule: str) -> None:
    left, right = st.columns([5, 5], vertical_alignment="center")
    left.markdown(f"{fmt.md(each.text)} :gray[· {fmt.plural(each.count, 'row')}]")
    options = ["\0rule", "\0empty", *([each.suggestion] if each.suggestion and each.suggestion not in known else []), *known]
    words = {"\0rule": f"Undecided ({rule})", "\0empty": "Leave empty"}
    key = f"value_{each.header}_{n}_{each.text}"
    now = "\0rule" if not each.decided else "\0empty" if each.meant is None else each.meant

    def decide() -> None:
        chosen = st.session_state[key]
        meant = None if chosen in ("\0rule", "\0empty") else chosen
        perform(desk.set_value, run_id, each.header, each.text, meant, decided=chosen != "\0rule")

    options = options if now in options else [*options, now]
    right.selectbox(
        f"Meaning of {each.text}",
        options,
        format_func=lambda one: words.get(one, one),
        key=bound(key, now),
        label_visibility="collapsed",
        on_change=decide,
    )
    if each.suggestion and not each.decided:
        right.caption(f"Probably {fmt.md(each.suggestion)}")


# --- rules ------------------------------------------------------------------------------------------------------------------------


def rules(found: desk.Desk) -> None:
    """Fixed values, how records are recognised, how the file is read."""
    left, right = st.columns(2, gap="large")
    with left:
        _recognise(found)
    with right:
        _constants(found)
    _layout(found)


def _recognise(found: desk.Desk) -> None:
    run_id, plan = found.run.id, found.plan
    st.subheader("Records that exist already", anchor=False)

    def keep() -> None:
        match = tuple(st.session_state["match"])
        mode = st.session_state["mode"] if match else Mode.CREATE
        perform(desk.set_rules, run_id, match=match, mode=mode, empty_clears=st.session_state["clears"])

    st.multiselect(
        "Are recognised by", list(found.keys), format_func=lambda key: found.keys[key], key=bound("match", list(plan.match)), on_change=keep,
        placeholder="Nothing: every row is a new record",
    )  # fmt: skip
    modes = [Mode.BOTH, Mode.CREATE, Mode.UPDATE] if plan.match else [Mode.CREATE]
    st.radio("What may the import do?", modes, format_func=lambda mode: mode.label, key=bound("mode", plan.mode), on_change=keep)
    st.toggle(
        "An empty cell clears the field",
        key=bound("clears", plan.empty_clears),
        on_change=keep,
        help="Otherwise it leaves the field as it is",
    )


def _constants(found: desk.Desk) -> None:
    run_id, plan = found.run.id, found.plan
    st.subheader("Fixed values", anchor=False)
    st.caption(
        "Used where the file gives nothing. A column's name in braces stands for its cell: {ID}.".replace("{", "\\{").replace(
            "}", "\\}"
        )
    )
    fed = {line.target for line in found.lines}
    wanted = [key for key in plan.constants if key in found.fields] + [
        key for key in found.required if key not in fed and key not in plan.constants
    ]

    def keep(key: str) -> None:
        perform(desk.set_constant, run_id, key, st.session_state[f"constant_{key}"].strip())

    for key in wanted:
        st.text_input(found.fields[key], key=bound(f"constant_{key}", plan.constants.get(key, "")), on_change=keep, args=(key,))

    def add() -> None:
        if st.session_state.get("add_constant"):
            st.session_state.setdefault("_more_constants", []).append(st.session_state["add_constant"])
            st.session_state["add_constant"] = None

    for key in [each for each in st.session_state.get("_more_constants", []) if each not in wanted and each in found.fields]:
        st.text_input(found.fields[key], key=f"constant_{key}", on_change=keep, args=(key,))
    rest = [key for key in found.fields if key not in wanted]
    st.selectbox(
        "Another one",
        rest,
        index=None,
        format_func=lambda key: found.fields[key],
        placeholder="Add a fixed value",
        key="add_constant",
        on_change=add,
        label_visibility="collapsed",
    )


def _layout(found: desk.Desk) -> None:
    """How the file is read; a change reads it anew and proposes a new plan."""
    options, run_id = found.run.options, found.run.id
    with st.expander("How the file is read", icon=":material/description:"), st.form("layout", border=False):
        chosen: dict[str, Any] = {}
        cells = st.columns(5)
        if options.get("sheets"):
            chosen["sheet"] = cells[0].selectbox("Sheet", options["sheets"], index=options["sheets"].index(options["sheet"]))
        else:
            for n, (name, label, known) in enumerate(_LAYOUT):
                keys = list(known)
                chosen[name] = cells[n].selectbox(label, keys, index=keys.index(options[name]), format_func=known.__getitem__)
        kinds = runs.importable(current_actor())
        chosen["entity"] = cells[3].selectbox("The rows are", kinds, index=kinds.index(found.run.entity), format_func=_plural)
        chosen["header_line"] = whole_number(
            "Line of the column names",
            0,
            100,
            int(options["header_line"]),
            key=f"header_line_{run_id}",
            place=cells[4],
            help="0: the file has none",
        )
        if st.form_submit_button("Read the file again", icon=":material/refresh:"):
            perform(runs.relayout, run_id, chosen, drawn=found.run)
            st.rerun()

    def keep() -> None:
        perform(desk.set_rules, run_id, fill_short=st.session_state["fill_short"])

    profile = runs.profile_of(found.run)
    if profile.short:
        st.toggle(
            f"Take the {fmt.plural(profile.short, 'row')} with too few cells; what is missing counts as empty",
            key=bound("fill_short", found.plan.fill_short),
            on_change=keep,
        )
    if profile.long:
        st.warning(
            f"{fmt.plural(profile.long, 'row')} have more cells than there are columns and will be rejected.",
            icon=":material/warning:",
        )


def _plural(key: str) -> str:
    return entity(key).plural
