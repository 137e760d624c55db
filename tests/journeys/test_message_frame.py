"""A message in its frame: it looks like itself, and nothing in it leads anywhere or fetches anything."""

from pathlib import Path

FRAME = Path(__file__).parents[2] / "ui/components/mail_frame.js"
MESSAGE = """<html><head><base href="http://rapport.test/"><meta http-equiv="refresh" content="0;url=http://rapport.test/t/refresh"></head>
<body><p style="color:red">Hello</p><a href="/t/token" target="_self">our offer</a><map name="m"><area href="/t/area"></map>
<svg width="90" height="20"><a xlink:href="/t/svg"><text y="15">drawn</text></a></svg><img src="/o/token.gif"></body></html>"""
PAGE = """<!doctype html><div id="place"><iframe sandbox="" width="400" height="200"></iframe></div><script type="module">
import draw from "/mail_frame.js"
draw({data: {html: await (await fetch("/message")).text()}, parentElement: document.getElementById("place")})</script>"""


def test_a_link_in_a_message_that_is_looked_at_leads_nowhere(chromium):
    page, asked = chromium.new_page(), []
    files = {
        "/": ("text/html", PAGE),
        "/mail_frame.js": ("text/javascript", FRAME.read_text()),
        "/message": ("text/plain", MESSAGE),
    }

    def answer(route):
        path = route.request.url.removeprefix("http://rapport.test")
        asked.append(path)
        kind, body = files.get(path, ("text/html", "Elsewhere"))
        route.fulfill(content_type=kind, body=body)

    page.route("**/*", answer)
    page.goto("http://rapport.test/")
    frame = page.frame_locator("iframe")
    for words in ("our offer", "drawn"):
        frame.get_by_text(words).click()
    frame.get_by_text("our offer").press("Enter")
    page.wait_for_timeout(200)
    assert frame.get_by_text("our offer").is_visible() and frame.get_by_text("Hello").is_visible()
    assert {one for one in asked if not one.startswith("/favicon")} == set(files), "what was asked for, besides the page itself"
    page.close()
