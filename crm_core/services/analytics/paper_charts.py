"""Charts for documents: HTML and inline SVG without styles of their own or scripts, readable on a phone and on paper. Text is escaped."""

from collections.abc import Sequence

from markupsafe import Markup

from crm_core.services.analytics.metrics import Number

Values = Sequence[Number | None]
_SHADES = 6


def bars(rows: Sequence[tuple[str, Number | None, str]]) -> Markup:
    """Groups as horizontal bars: label, value, its text."""
    top = max((abs(value) for _, value, _ in rows if value is not None), default=0) or 1
    made = Markup("").join(
        Markup(
            '<tr><td>{}</td><td><svg class="thin" viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true">'
            '<rect class="bar" x="0" y="1" width="{}" height="10"/></svg></td><td>{}</td></tr>'
        ).format(label, f"{100 * abs(value or 0) / top:.2f}", text)
        for label, value, text in rows
    )
    return Markup('<table class="groups">{}</table>').format(made)


def ranges(rows: Sequence[tuple[str, Number | None, str, float | None, float | None]], *, note: str | None = None) -> Markup:
    """Values of groups as marks with their intervals, on one scale from zero; ``note`` says what the lines are, if not 95% intervals."""
    shown = [row for row in rows if row[1] is not None]
    top = max((high if high is not None else float(value or 0) for _, value, _, _, high in shown), default=0) or 1

    def at(value: float | None) -> str:
        return f"{1 + 98 * (value or 0) / top:.2f}"

    def line(low: float | None, high: float | None) -> Markup:
        """The interval; nothing where it is not known."""
        if low is None or high is None:
            return Markup("")
        return Markup('<line class="range" x1="{}" y1="6" x2="{}" y2="6" vector-effect="non-scaling-stroke"/>').format(
            at(low), at(high)
        )

    made = Markup("").join(
        Markup(
            '<tr><td>{}</td><td><svg class="thin" viewBox="0 0 100 12" preserveAspectRatio="none" aria-hidden="true">'
            '{}<line class="dot" x1="{}" y1="2" x2="{}" y2="10" vector-effect="non-scaling-stroke"/></svg></td><td>{}</td></tr>'
        ).format(label, line(low, high), at(value), at(value), text)
        for label, value, text, low, high in shown
    )
    said = note or "Marks with 95% intervals: where they overlap, chance may have ranked them."
    return Markup('<table class="groups">{}</table><p class="note">{}</p>').format(made, said)


def steps(
    values: Values,
    labels: Sequence[str],
    texts: Sequence[str],
    before: Values,
    *,
    line: bool,
    top: str,
    faded: Sequence[bool],
    names: tuple[str, str],
) -> Markup:
    """Steps over time as bars or a line, the comparison dotted over them; each bar says its number when pointed at."""
    highest = float(max((value for value in [*values, *before] if value is not None), default=0)) or 1.0
    width = 100 / max(1, len(values))
    marks = _trace(values, highest, width, "trace") if line else _columns(values, labels, texts, faded, highest, width)
    marks += _trace(before, highest, width, "before")
    legend = (
        Markup('<div class="legend"><span><i></i>{}</span><span><i class="dots"></i>{}</span></div>').format(*names)
        if before
        else Markup("")
    )
    picked = [labels[n] for n in sorted({0, len(labels) // 2, len(labels) - 1})] if labels else []
    return Markup(
        '{}<div class="plot"><div class="axis"><span>{}</span><span>0</span></div><div class="area">'
        '<svg class="tall" viewBox="0 0 100 100" preserveAspectRatio="none" role="img" aria-label="{}">'
        '<line class="base" x1="0" y1="100" x2="100" y2="100" vector-effect="non-scaling-stroke"/>{}</svg>'
        '<div class="steps">{}</div></div></div>'
    ).format(legend, top, names[0], marks, Markup("").join(Markup("<span>{}</span>").format(label) for label in picked))


def _columns(
    values: Values, labels: Sequence[str], texts: Sequence[str], faded: Sequence[bool], highest: float, width: float
) -> Markup:
    made = Markup("")
    for n, value in enumerate(values):
        height = 100 * max(0.0, float(value or 0)) / highest
        made += Markup('<rect class="bar{}" x="{}" y="{}" width="{}" height="{}"><title>{}</title></rect>').format(
            " pale" if faded[n] else "", f"{n * width + width * 0.14:.2f}", f"{100 - height:.2f}", f"{width * 0.72:.2f}", f"{height:.2f}",
            f"{labels[n]}: {texts[n]}",
        )  # fmt: skip
    return made


def _trace(values: Values, highest: float, width: float, name: str) -> Markup:
    """A line through the steps that have a value; gaps stay gaps."""
    made, run = Markup(""), []
    for n, value in enumerate([*values, None]):
        if value is not None:
            run.append(f"{(n + 0.5) * width:.2f},{100 - 100 * max(0.0, float(value)) / highest:.2f}")
            continue
        if run:
            made += Markup('<polyline class="{}" points="{}" vector-effect="non-scaling-stroke"/>').format(name, " ".join(run))
        run = []
    return made


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, heat: Sequence[Values] | None = None) -> Markup:
    """A table of texts; ``heat`` shades the cells after the first column by their size."""
    highest = max((abs(value) for row in heat or () for value in row if value is not None), default=0) or 1
    head = Markup("").join(Markup('<th scope="col">{}</th>').format(name) for name in header)
    body = Markup("")
    for r, row in enumerate(rows):
        cells = Markup("")
        for c, text in enumerate(row):
            value = heat[r][c - 1] if heat is not None and 0 < c <= len(heat[r]) else None
            shade = f"t{max(1, round(_SHADES * abs(value) / highest))}" if value else ""
            cells += Markup('<td class="{}">{}</td>').format(shade, text) if shade else Markup("<td>{}</td>").format(text)
        body += Markup("<tr>{}</tr>").format(cells)
    return Markup('<div class="scroll"><table class="cells"><thead><tr>{}</tr></thead><tbody>{}</tbody></table></div>').format(
        head, body
    )


def folded(inner: Markup) -> Markup:
    """The numbers of a chart, folded away."""
    return Markup("<details><summary>The numbers</summary>{}</details>").format(inner)
