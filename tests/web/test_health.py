"""Health and metrics."""

from crm_core import schema


def test_a_fit_process_says_so_to_anybody(guest):
    assert guest.get("/healthz").json() == {"ok": True, "database": "ok", "migrations": "ok"}


def test_an_old_database_is_not_fit(local):
    schema.downgrade(schema.revisions()[-2])
    answer = local.get("/healthz")
    assert answer.status_code == 503 and answer.json()["migrations"] == "missing"
    schema.upgrade()


def test_a_database_that_does_not_answer_is_not_fit_and_gives_nothing_away(guest, setting, tmp_path):
    (tmp_path / "folder.db").mkdir()
    setting("DATABASE_URL", f"sqlite:///{tmp_path / 'folder.db'}")
    answer = guest.get("/healthz")
    assert answer.status_code == 503 and str(tmp_path) not in answer.text


def test_metrics_need_a_token_or_the_right_to_see_jobs(guest, setting):
    assert guest.get("/metrics").status_code == 401
    guest.sign_in("alice")
    assert guest.get("/metrics").status_code == 401, "a sales rep may not see jobs"
    guest.sign_in("root")
    assert "rapport_http_requests_total" in guest.get("/metrics").text


def test_metrics_with_the_token_of_the_settings(guest, setting):
    for header in ("Bearer ", "Bearer guess", ""):
        assert guest.get("/metrics", headers={"authorization": header}).status_code == 401
    setting("METRICS_TOKEN", "scrape-me")
    assert guest.get("/metrics", headers={"authorization": "Bearer guess"}).status_code == 401
    assert "rapport_signed_in_sessions" in guest.get("/metrics", headers={"authorization": "Bearer scrape-me"}).text


def test_search_engines_are_sent_away(guest):
    assert guest.get("/robots.txt").text == "User-agent: *\nDisallow: /\n"
    assert "noindex" in guest.get("/signin").headers["x-robots-tag"]
