"""Markdown of people as HTML that is safe to show to anybody, and as plain words.

Two fences: the parser takes no HTML, no pictures and only links that lead to a page, a mail or a telephone; the cleaner lets through nothing
but the few tags that it makes.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

_TAGS = {
    "a", "blockquote", "br", "code", "em", "h2", "h3", "h4", "h5", "hr", "li", "ol", "p", "pre", "s", "strong", "table", "tbody", "td", "th", "thead", "tr", "ul",
}  # fmt: skip
_LINK = re.compile(r"^(https?://[^\s]+|mailto:[^\s]+|tel:[+0-9()\-. ]+|/help(/[\w-]*)?|#[\w-]*)$", re.IGNORECASE)
_SCHEMES = {"http", "https", "mailto", "tel"}


def safe_html(text: str) -> str:
    """The HTML of a text. Headings begin at the second level: the first is the page's own."""
    return _safe_html(text) if text.strip() else ""


@lru_cache(maxsize=200)
def _safe_html(text: str) -> str:
    import nh3  # here: a page that shows no article needs none of it

    return nh3.clean(
        _parser().render(text),
        tags=_TAGS,
        attributes={"a": {"href"}, "ol": {"start"}},
        url_schemes=_SCHEMES,
        link_rel="nofollow noopener noreferrer",
    )


@lru_cache(maxsize=1)
def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    made = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    made.validateLink = lambda url: _LINK.match(url) is not None  # type: ignore[method-assign]
    made.add_render_rule("image", _picture)
    made.core.ruler.push("lower_headings", _lower)
    return made


def _picture(_renderer: Any, tokens: Sequence[Any], index: int, _options: Any, _env: Any) -> str:
    """A picture would tell its server who reads: its words stay."""
    from html import escape

    return escape(tokens[index].content)


def _lower(state: Any) -> None:
    for token in state.tokens:
        if token.type in ("heading_open", "heading_close"):
            token.tag = f"h{min(5, int(token.tag[1]) + 1)}"


_MARKS = (
    (re.compile(r"!?\[([^\[\]]*)\]\([^()\s]*(?: [^()]*)?\)"), r"\1"),
    (re.compile(r"(\*\*|__|~~|`)(?=\S)([^*_~`\n]+)\1"), r"\2"),
    (re.compile(r"(?<![\w*_])([*_])(?=[^\s*_])([^*_\n]*[^\s*_])\1(?![\w*_])"), r"\2"),
    (re.compile(r"^[ ]{0,3}(?:#{1,6}|>|[-*+])[ ]+", re.MULTILINE), ""),
)


def aloud(text: str) -> str:
    """The words as a voice says them, on one line: without marks, and of links what they are called. Numbers of steps stay."""
    for marks, rest in _MARKS:
        text = marks.sub(rest, text)
    return " ".join(text.split())
