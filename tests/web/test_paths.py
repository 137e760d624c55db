"""Where a stranger may go, and where nobody is sent."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.paths import is_odd, is_public, safe_next


@pytest.mark.parametrize(
    "path", ["/signin", "/welcome", "/invite/abc", "/static/js/index.js", "/app/static/icon.svg", "/_stcore/health", "/healthz"]
)
def test_what_works_without_a_session(path):
    assert is_public(path)


@pytest.mark.parametrize(
    "path",
    ["/", "/deals", "/signins", "/signin/", "/welcomes", "/invites", "/invite", "/healthz/x", "/_stcore/healthy", "/_stcore/stream",
     "/_stcore/metrics", "/_stcore/upload_file/a/b", "/media/x.png", "/component/x", "/staticx", "/app/staticx", "/SIGNIN", "/demos"],
)  # fmt: skip
def test_what_looks_like_it_and_is_not(path):
    assert not is_public(path)


@pytest.mark.parametrize(
    "path", ["/static/../deals", "/static//deals", "/static/./x", "\\deals", "/a\\b", "/static/..", "/a\x00b", "/a\nb", "deals", ""]
)
def test_paths_that_no_link_of_ours_has(path):
    assert is_odd(path)


@pytest.mark.parametrize(
    "target", ["/", "/deals", "/deal?id=42", "/deals?stage=Won&q=a%2Fb", "/account?id=1#x", "/deals?u=https://a.example"]
)
def test_a_page_of_ours_is_where_one_goes_on(target):
    assert safe_next(target) == target


@pytest.mark.parametrize(
    "target",
    [None, "", "deals", "//evil.example", "///evil.example", "/\\evil.example", "https://evil.example", "javascript:alert(1)", "/\t/evil.example",
     "\t//evil.example", "/\n/evil.example", "/signin?next=/signin", "/signout", "/auth/logout", "/demo", "/a//b", "/../x", "/x" * 2000],
)  # fmt: skip
def test_nobody_is_sent_to_another_site_or_round_in_circles(target):
    assert safe_next(target) == "/"


@given(st.text(alphabet="/\\.:@?#ab\t\n%20evil", max_size=30))
def test_whatever_is_asked_the_answer_stays_on_this_site(target):
    from urllib.parse import urljoin, urlsplit

    answer = safe_next(target)
    assert urlsplit(urljoin("https://crm.example/signin", answer)).netloc == "crm.example"
    assert not is_public(urlsplit(answer).path)
