"""HTML of strangers: cleaned so that it can be shown, and read as plain text. Pure.

Nothing in it may run, load or reach anything: no scripts, no forms, no pictures from other servers, only styles that can't fetch.
"""

import re
from html.parser import HTMLParser

TAGS = {
    "a", "abbr", "b", "blockquote", "br", "caption", "center", "code", "col", "colgroup", "dd", "del", "div", "dl", "dt", "em", "font", "h1", "h2", "h3",
    "h4", "h5", "h6", "hr", "i", "img", "ins", "li", "ol", "p", "pre", "q", "s", "small", "span", "strike", "strong", "sub", "sup", "table", "tbody", "td",
    "tfoot", "th", "thead", "tr", "tt", "u", "ul",
}  # fmt: skip
STYLES = {
    "color", "background-color", "font-family", "font-size", "font-style", "font-weight", "line-height", "text-align", "text-decoration", "vertical-align",
    "white-space", "padding", "padding-left", "padding-right", "padding-top", "padding-bottom", "margin-left", "margin-top", "margin-bottom", "border",
    "border-collapse", "border-left", "border-color", "width",
}  # fmt: skip
ATTRIBUTES = {
    "*": {"style", "dir", "lang", "title", "align", "valign"},
    "a": {"href"},
    "img": {"src", "alt", "width", "height"},
    "td": {"colspan", "rowspan", "width", "bgcolor"},
    "th": {"colspan", "rowspan", "width", "bgcolor"},
    "table": {"width", "border", "cellpadding", "cellspacing", "bgcolor"},
    "font": {"color", "face", "size"},
    "ol": {"start", "type"},
}
_PICTURE = re.compile(r"^data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/=\s]+$")
_FAR = re.compile(r"^(https?|mailto|tel):", re.IGNORECASE)
MAX = 400_000
_BLOCKS = {
    "p",
    "div",
    "tr",
    "table",
    "ul",
    "ol",
    "h1",
    "h2",
    "h3",
    "h4",
    "h5",
    "h6",
    "pre",
    "section",
    "article",
    "header",
    "footer",
    "dl",
    "dd",
    "dt",
}
_SILENT = {"script", "style", "head", "title", "noscript", "template", "svg", "object"}


def clean(html: str) -> str:
    """A copy that is safe to show. Pictures stay only when they came inside the message."""
    import nh3  # here: a page that shows no mail needs none of it

    made: str = nh3.clean(
        html[:MAX],
        tags=TAGS,
        attributes=ATTRIBUTES,
        attribute_filter=_allowed,
        url_schemes={"http", "https", "mailto", "tel", "cid", "data"},
        filter_style_properties=STYLES,
        link_rel="noopener noreferrer nofollow",
        strip_comments=True,
    )
    return made.strip()


def _allowed(tag: str, attribute: str, value: str) -> str | None:
    if tag == "img" and attribute == "src":
        return value if value.lower().startswith("cid:") or _PICTURE.match(value) else None
    if attribute == "href":
        return value if _FAR.match(value) else None
    if attribute == "style" and ("url(" in value.lower() or "expression" in value.lower()):
        return None
    return value


def as_text(html: str) -> str:
    """What a reader would read aloud: paragraphs, points, links with their address, quotations marked."""
    reader = _Reader()
    try:
        reader.feed(html[:MAX])
        reader.close()
    except Exception:
        return re.sub(r"<[^>]*>", " ", html[:MAX]).strip()
    return reader.text()


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._lines: list[str] = [""]
        self._silent = 0
        self._depth = 0
        self._href = ""
        self._words = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _SILENT:
            self._silent += 1
        elif tag == "blockquote":
            self._break()
            self._depth += 1
        elif tag == "br":
            self._new()
        elif tag == "li":
            self._break()
            self._lines[-1] += "- "
        elif tag in ("td", "th") and self._lines[-1].strip():
            self._lines[-1] += " "
        elif tag == "a":
            self._href, self._words = dict(attrs).get("href") or "", ""
        elif tag in _BLOCKS:
            self._break()

    def handle_endtag(self, tag: str) -> None:
        if tag in _SILENT:
            self._silent = max(0, self._silent - 1)
        elif tag == "blockquote":
            self._break()
            self._depth = max(0, self._depth - 1)
        elif tag == "a" and self._href:
            bare = self._href.removeprefix("mailto:").rstrip("/")
            if _FAR.match(self._href) and bare and bare not in self._words.strip().rstrip("/"):
                self._lines[-1] += f" ({self._href})"
            self._href = ""
        elif tag in _BLOCKS:
            self._break()
            if tag in ("p", "h1", "h2", "h3", "table", "ul", "ol") and self._lines[-1:] == [""] and len(self._lines) > 1:
                self._new()

    def handle_data(self, data: str) -> None:
        if self._silent:
            return
        words = re.sub(r"[ \t\r\n\f]+", " ", data)
        if not self._lines[-1].strip("> "):
            words = words.lstrip()
        if words and not self._lines[-1] and self._depth:
            self._lines[-1] = "> " * min(self._depth, 10)
        self._lines[-1] += words
        self._words += words

    def _new(self) -> None:
        self._lines.append("")

    def _break(self) -> None:
        if self._lines[-1].strip():
            self._lines.append("")

    def text(self) -> str:
        joined = "\n".join(line.rstrip().replace("\u00a0", " ") for line in self._lines)
        return re.sub(r"\n{3,}", "\n\n", joined).strip()
