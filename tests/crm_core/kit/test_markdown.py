"""Markdown of people: what they meant stays, and nothing in it does harm."""

import re

import pytest

from crm_core.kit import markdown

HOSTILE = {
    "<script>alert(1)</script>": "<script",
    "<img src=x onerror=alert(1)>": "<img",
    "![p](https://tracker.example/p.png)": "tracker.example",
    "[x](javascript:alert(1))": 'href="javascript',
    "[x](JaVaScRiPt&#58;alert(1))": "href",
    "[x](java\tscript:alert(1))": "href",
    "[x](data:text/html;base64,PHNjcmlwdD4=)": "href",
    "[x](vbscript:x)": "href",
    "[x](//evil.example)": "href",
    "[x](/signout)": "href",
    "<javascript:alert(1)>": "href",
    "<a href='https://x.example' onclick='alert(1)'>x</a>": "<a",
    "[![p](https://tracker.example/p.png)](https://ok.example)": "<img",
    "<iframe src='https://evil.example'></iframe>": "<iframe",
    "<style>body{display:none}</style>": "<style",
    "[x]: javascript:alert(1)\n[x]": "href",
    "&lt;script&gt;": "<script",
}


@pytest.mark.parametrize(("text", "never"), HOSTILE.items())
def test_hostile_text_stays_text(text, never):
    made = markdown.safe_html(f"Before\n\n{text}\n\nAfter")
    assert never not in made and "Before" in made and "After" in made
    assert not re.search(r"<[^>]*\son\w+=", made), "no tag of ours carries a script"


def test_markdown_of_people_becomes_what_they_meant():
    made = markdown.safe_html(
        "# One\n\n**bold** [mail](mailto:a@example.com) [site](https://example.com/a?b=1&c=2) [other](/help/other)\n\n|a|b|\n|-|-|\n|1|2|"
    )
    for part in (
        "<h2>One</h2>",
        "<strong>bold</strong>",
        'href="mailto:a@example.com"',
        'rel="nofollow noopener noreferrer"',
        "<td>1</td>",
        'href="/help/other"',
    ):
        assert part in made
    assert markdown.aloud("# One\n\n1. **Bold** & `x`, [our site](https://example.com/a) *now*\n2. 3 * 4 * 5 and a_b_c") == (
        "One 1. Bold & x, our site now 2. 3 * 4 * 5 and a_b_c"
    ), "a voice says no marks, and the numbers of steps"
