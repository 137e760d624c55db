"""The small language of letters: what it puts in, what it refuses, and that nothing a person typed becomes code."""

from crm_core.services.marketing.letter_rules import (
    Part,
    as_html,
    as_text,
    fill,
    flaws,
    is_web_address,
    joined,
    links,
    parts,
    segments_in,
    shown,
    split_name,
    used_fields,
    without_fallback,
)


def test_fields_fall_back_and_parts_are_shown_only_to_those_who_have_the_field():
    text = "Hi {{first_name|there}}, {{#if city}}see us in {{city}}. {{/if}}Bye {{ company | your company }}"
    assert fill(text, {"first_name": "Ida", "city": "Rome", "company": ""}) == "Hi Ida, see us in Rome. Bye your company"
    assert fill(text, {}) == "Hi there, Bye your company"
    assert used_fields(text) == ["first_name", "city", "company"]
    assert without_fallback(text) == [] and without_fallback("{{city}} {{#if name}}{{name}} {{city|x}}{{/if}}") == ["city"]


def test_what_a_person_typed_as_their_name_stays_letters():
    body = fill("Hello {{name}} [shop](https://a.example.com)", {"name": "[x](https://evil.example.com) **b** <script>{{city}}"})
    html = as_html(body, lambda url: url)
    assert "<script" not in html and "<strong>" not in html and html.count("<a ") <= 2
    assert 'href="https://evil.example.com"' not in html or ">https://evil.example.com<" in html


def test_text_and_html_lead_to_the_same_counted_links():
    body = "See [the *offer*](https://a.example.com/x?a=1&b=2) or https://b.example.com/y.\n\n# Title\n\n- one **two**\n- https://b.example.com/y"
    seen = []
    html = as_html(body, lambda url: seen.append(url) or f"/t/{len(url)}")
    assert links(body) == ["https://a.example.com/x?a=1&b=2", "https://b.example.com/y"] and set(seen) == set(links(body))
    assert "<h1" in html and html.count("<li") == 2 and "<strong>two</strong>" in html
    assert as_text(body, lambda url: f"<{url}>").startswith(
        "See the *offer*: <https://a.example.com/x?a=1&b=2> or <https://b.example.com/y>."
    )


def test_flaws_stop_what_would_embarrass():
    known = ["first_name"]
    good = flaws("Hello {{first_name|you}}", "Look: https://a.example.com", known)
    assert good == []
    stops = [
        flaw.words
        for flaw in flaws("", "{{nick}} {{#if x}} [a](javascript:x) [b](https://u:p@x.com) [c](/deals)", known)
        if flaw.stops
    ]
    text = " ".join(stops)
    assert "subject is missing" in text and "nick" in text and "can't be understood" in text and text.count("leads nowhere") == 3
    advice = [flaw.words for flaw in flaws("ACT NOW FOR FREE {{first_name|you}}", "Nothing", known)]
    assert any("no link" in one for one in advice) and any("capitals" in one for one in advice)
    assert any("inside a link" in flaw.words for flaw in flaws("s", "[a](https://x.com/{{first_name}})", known))
    example = flaws("s", "[a](https://www.example.com)", known)
    assert ["place holder" in flaw.words for flaw in example] == [True] and not example[0].stops


def test_web_addresses_and_names():
    assert is_web_address("https://a.example.com/x") and is_web_address("http://localhost/x")
    assert not any(
        map(
            is_web_address,
            ("ftp://a.b", "https://", "https://a@b.com", "//a.com", "https://nodots", "https://[", "https://a.com/" + "x" * 1_000),
        )
    )
    assert (
        split_name("Dr. Ida van Berg") == ("Ida", "van Berg") and split_name("Cher") == ("Cher", "") and split_name("") == ("", "")
    )


def test_parts_are_for_those_who_are_in_a_segment_or_not():
    text = "Hello\n\n{{#only 12,7 Loyal, VIP}}\nthanks {{city}}\n{{/only}}\n\nnews\n\n{{#except 12 Loyal}}\njoin us\n{{/except}}"
    found = parts(text)
    assert found == [Part("Hello"), Part("thanks {{city}}", "only", (12, 7)), Part("news"), Part("join us", "except", (12,))]
    assert joined(found, {12: "Loyal", 7: "VIP"}) == text and segments_in("x", text) == [12, 7]
    assert (
        shown(text, {7}) == "Hello\n\nthanks {{city}}\n\nnews\n\njoin us"
        and shown(text, {12}) == "Hello\n\nthanks {{city}}\n\nnews"
    )
    plain = "\n Hello {{first_name|you}}\n\n\nbye "
    assert parts(plain) == [Part(plain)] and joined(parts(plain), {}) == plain == shown(plain, {1})
    evil = joined([Part("a", "only", (3,))], {3: "}}\n{{/only}} <b>"})
    assert parts(evil) == [Part("a", "only", (3,))] and shown(evil, ()) == ""
    assert fill(shown(text, {9}), {"city": "{{#only 1}}"}) == "Hello\n\nnews\n\njoin us"
    assert flaws("s {{first_name|x}}", text, ["city"])[0].words.startswith("There is no field “first_name”")
    for broken in (
        "a {{#only 1}}b{{/only}}",
        "{{#only 1}}\nb",
        "{{#only 1}}\n{{#except 2}}\nb\n{{/except}}\n{{/only}}",
        "{{#only 0}}\nb\n{{/only}}",
    ):
        assert any(flaw.stops for flaw in flaws("s", broken, [])), broken
    halves = "{{#if city}}\n{{#only 1}}\nb\n{{/if}}\n{{/only}}\nc"
    assert "{{" in fill(shown(halves, ()), {"city": "x"}) and any(flaw.stops for flaw in flaws("s", halves, ["city"]))
