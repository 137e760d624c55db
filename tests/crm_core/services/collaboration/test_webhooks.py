"""Webhooks: what is told, through whose eyes, signed, again and again until it is there, and never into a network of one's own."""

import base64
import hashlib
import hmac
import json
import socket
import threading
import time
from contextlib import suppress
from datetime import timedelta

import pytest
from sqlmodel import select

from crm_core.channels import webhook as channel
from crm_core.db import read_session, write_session
from crm_core.errors import Conflict, CrmError, Invalid, NotFound, NotPermitted
from crm_core.jobs.run import begin
from crm_core.kit import clock
from crm_core.models import Event, Notification, User, Webhook, WebhookDelivery
from crm_core.services.automation import stopping
from crm_core.services.collaboration import halts, webhook_rules, webhook_run, webhooks
from crm_core.services.customers import contacts
from crm_core.services.sales import deals, leads
from crm_core.settings import settings
from crm_core.vocabulary import HaltKind, HookState
from tests.receiver import receiver
from tests.verbs import do


@pytest.fixture
def loopback(monkeypatch):
    monkeypatch.setenv("RAPPORT_WEBHOOK_ALLOW_LOOPBACK", "true")
    settings.cache_clear()


@pytest.fixture
def there(loopback):
    with receiver() as found:
        yield found


def make(cast, url, events=("deal.created", "deal.won"), **more):
    with write_session() as session:
        return webhooks.save(session, cast["root"], None, {"name": "Hook", "url": url, "events": list(events), **more})


def work(later=timedelta(0)):
    """What the worker would do now, or later."""
    with clock.frozen(clock.utcnow() + later):
        webhook_run.dispatch(begin("dispatch", "webhooks.dispatch"))
        webhook_run.deliver(begin("deliver", "webhooks.deliver"))


def sent():
    with read_session() as session:
        return list(session.exec(select(WebhookDelivery).order_by(WebhookDelivery.id)))


def deal(actor, **values):
    with write_session() as session:
        return deals.create(session, actor, {"name": "D", **values})


def test_a_message_is_signed_and_told_once(cast, there):
    hook = make(cast, there.url)
    made = deal(cast["alice"], amount_minor=700)
    work()
    work()
    (path, headers, body), data = there.got[0], json.loads(there.got[0][2])
    assert len(there.got) == 1 and path == "/hook" and data["type"] == "deal.created"
    assert (
        data["data"]["record"]["amount_minor"] == 700
        and data["data"]["by"]["name"] == "Alice Rep"
        and data["data"]["via"] == "screen"
    )
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    key = base64.b64decode(hook.secret.removeprefix("whsec_"))
    assert headers["webhook-signature"] == "v1," + base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
    with write_session() as session:
        deals.win(session, cast["alice"], made.id)
        webhooks.replay(session, cast["root"], sent()[0].id)
    work()
    assert sorted(one[1]["webhook-id"] for one in there.got) == ["msg_1", "msg_1", "msg_2"], "a replay keeps its id"
    assert {row.state for row in sent()} == {HookState.DELIVERED}


def test_the_published_vector_of_standard_webhooks():
    body = b'{"test": 2432232314}'
    found = webhook_rules.signature("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body)
    assert found == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_the_owner_sees_what_is_told_and_the_filter_narrows_it(cast, there):
    big = {"field": "amount_minor", "cmp": "ge", "value": 100}
    make(cast, there.url, owner_id=cast["charlie"].user_id, filter=big)
    deal(cast["alice"], amount_minor=500)
    deal(cast["charlie"], amount_minor=5)
    deal(cast["charlie"], amount_minor=500)
    work()
    assert [row.state for row in sent()] == [HookState.SKIPPED, HookState.SKIPPED, HookState.DELIVERED] and len(there.got) == 1
    assert "Not shared" in sent()[0].message and "filter" in sent()[1].message
    with write_session() as session:
        session.get(User, cast["charlie"].user_id).is_active = False
    deal(cast["root"])
    work()
    assert len(there.got) == 1 and "deactivated" in sent()[-1].message


def test_hidden_fields_are_not_told(cast, there):
    make(cast, there.url, ["contact.created", "contact.updated"], owner_id=cast["ana"].user_id)
    with write_session() as session:
        made = contacts.create(session, cast["root"], {"name": "Ada Secret", "email": "ada@example.com"})
        contacts.update(session, cast["root"], made.id, {"name": "Eve Secret", "city": "Bonn"})
    work()
    assert len(there.got) == 2 and all(b"Secret" not in body and b"ada@" not in body for _, _, body in there.got)
    told = {message["type"]: message for message in (json.loads(body) for _, _, body in there.got)}  # in any order
    assert told["contact.updated"]["data"]["changes"].keys() == {"city"}


def test_it_is_tried_again_with_longer_and_longer_waits_and_then_given_up(cast, there):
    make(cast, there.url)
    deal(cast["alice"])
    there.answers = [(500, b"oh no", {})] * 20
    work()
    row = sent()[0]
    assert (row.state, row.status, row.answer, row.attempts) == (HookState.WAITING, 500, "oh no", 1)
    work(timedelta(seconds=5))
    assert len(there.got) == 1, "its time has not come"
    later = timedelta(0)
    for pause in webhook_rules.PAUSES:
        later += pause + timedelta(seconds=1)
        work(later)
    row = sent()[0]
    assert (row.state, row.attempts, len(there.got)) == (HookState.FAILED, 9, 9)
    assert len({body for _, _, body in there.got}) == 1, "the same words at every try"
    there.answers = []
    with write_session() as session:
        webhooks.replay(session, cast["root"], row.id)
    work(later)
    assert sent()[0].state is HookState.DELIVERED


def test_gone_and_too_many_failures_switch_it_off_and_tell_the_owner(cast, there, monkeypatch):
    hook = make(cast, there.url)
    there.answers = [(410, b"", {})]
    deal(cast["alice"])
    work()
    with write_session() as session:
        found = session.get(Webhook, hook.id)
        assert not found.is_active and "410" in found.off_reason
        assert session.exec(select(Notification.kind).where(Notification.user_id == cast["root"].user_id)).all() == [
            "webhook.failing"
        ]
        assert session.exec(select(Event.type).where(Event.type == "webhook.switched_off")).one()
        webhooks.save(session, cast["root"], hook.id, {"is_active": True})
    deal(cast["alice"])
    monkeypatch.setattr(webhook_rules, "MOST_FAILURES", 2)
    there.answers = [(503, b"", {}), (503, b"", {}), (503, b"", {})]
    work()
    work(timedelta(minutes=1))
    with read_session() as session:
        assert "2 tries in a row" in session.get(Webhook, hook.id).off_reason
    work(timedelta(hours=1))
    assert sent()[-1].state is HookState.SKIPPED and len(there.got) == 3
    with write_session() as session:
        webhooks.test(session, cast["root"], hook.id)
    there.answers = []
    work(timedelta(hours=1))
    assert sent()[-1].state is HookState.DELIVERED, "a test goes out though it is switched off"


def test_redirects_huge_and_slow_answers_do_no_harm(there, monkeypatch):
    inside = (302, b"", {"location": "http://169.254.169.254/latest/meta-data"})
    there.answers = [inside]
    assert channel.post(there.url, b"{}", {}).status == 302 and len(there.got) == 1

    def huge(handler):
        handler.send_response(200)
        handler.end_headers()
        with suppress(OSError):
            for _ in range(2_000):
                handler.wfile.write(b"x" * 65_536)

    def slow(handler):
        with suppress(OSError):
            for char in b"HTTP/1.1 200 OK\r\nx: " + b"y" * 1_000:
                handler.wfile.write(bytes([char]))
                time.sleep(0.05)

    there.answers = [huge, slow]
    began = time.monotonic()
    found = channel.post(there.url, b"{}", {})
    assert found.status == 200 and len(found.text) <= channel.SHOWN
    found = channel.post(there.url, b"{}", {}, seconds=0.6)
    assert found.status is None and "0.6 seconds" in found.message and time.monotonic() - began < 8
    assert "failed" in channel.post("http://127.0.0.1:9/", b"", {}).message


def test_an_answer_is_noted_as_it_comes_and_only_so_many_messages_are_out_unnoted(cast, there, monkeypatch):
    make(cast, there.url)
    for n in range(webhook_run.BATCH):
        deal(cast["alice"], name=f"D{n}")
    others, noted, note, out = threading.Event(), [], webhook_run._note, []

    def slow(handler):
        assert others.wait(20), "its answer holds up no other"
        handler.send_response(200)
        handler.send_header("content-length", "0")
        handler.end_headers()

    def noting(job, message, answer):
        time.sleep(0.02)  # time in which more than that would leave
        out.append(len(there.got) - len(noted))
        note(job, message, answer)
        noted.append(message.id)
        if len(noted) == webhook_run.BATCH - 1:
            others.set()

    monkeypatch.setattr(webhook_run, "_note", noting)
    there.answers = [slow]
    work()
    assert {row.state for row in sent()} == {HookState.DELIVERED} and len(there.got) == webhook_run.BATCH
    assert f"msg_{noted[-1]}" == there.got[0][1]["webhook-id"]
    assert max(out) <= webhook_run.AT_ONCE


INSIDE = [
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1", "192.0.0.192",
    "198.18.0.1", "192.0.2.1", "224.0.0.1", "255.255.255.255", "::", "::1", "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "ff02::1", "::ffff:127.0.0.1",
    "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::1", "2002:7f00:1::", "2002:a00:1::1", "2001:db8::1", "2001:0:1::1", "::7f00:1", "no address",
]  # fmt: skip


def test_addresses_inside_are_known_in_every_dress():
    assert [one for one in INSIDE if not channel.is_internal(one)] == []
    assert [
        one
        for one in ("93.184.215.14", "1.1.1.1", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101")
        if channel.is_internal(one)
    ] == []


@pytest.mark.parametrize(
    "url",
    ["http://example.com/", "ftp://example.com/", "https://", "https:///x", "https://user:pw@example.com/", "javascript:alert(1)", "https://exa mple.com/", "https://a:99999/",
     "https://example.com/#x", "https://127.0.0.1/", "https://[::1]/", "https://localhost/", "https://2130706433/", "https://0x7f.1/", "https://[::ffff:10.0.0.1]/", "https://a:0/",
     "https://169.254.169.254/latest", "https://" + "a" * 2000],
)  # fmt: skip
def test_such_addresses_are_refused_when_they_are_entered_and_when_they_are_called(url, database):
    with pytest.raises(CrmError):
        channel.resolve(url)
    assert channel.post(url, b"{}", {}).status is None


def test_a_name_is_looked_up_once_and_every_address_behind_it_counts(monkeypatch, loopback):
    answers = [["93.184.215.14", "10.0.0.1"], ["93.184.215.14"]]
    asked, called = [], []

    def lookup(host, port, **_):
        asked.append(host)
        return [(2, 1, 6, "", (one, port)) for one in answers[min(len(asked) - 1, 1)]]

    monkeypatch.setattr(socket, "getaddrinfo", lookup)
    assert "inside" in channel.post("https://rebind.example/", b"{}", {}).message

    def connect(self, host, port, **_):
        called.append((host, port))
        raise OSError("stop here")

    monkeypatch.setattr(channel.httpcore.SyncBackend, "connect_tcp", connect)
    channel.post("https://rebind.example:8443/x", b"{}", {})
    assert asked == ["rebind.example", "rebind.example"] and called == [("93.184.215.14", 8443)], "connected to what was checked"


def test_only_who_manages_them_and_only_what_makes_sense(cast, loopback):
    hook = make(cast, "http://127.0.0.1:1/")
    for call in (lambda s, a: webhooks.find(s, a), lambda s, a: webhooks.save(s, a, None, {}), lambda s, a: webhooks.remove(s, a, hook.id), lambda s, a: webhooks.test(s, a, hook.id),
                 lambda s, a: webhooks.new_secret(s, a, hook.id), lambda s, a: webhooks.deliveries(s, a, hook.id), lambda s, a: webhooks.message(s, a, 1), lambda s, a: webhooks.replay(s, a, 1)):  # fmt: skip
        with write_session() as session, pytest.raises(NotPermitted):
            call(session, cast["bob"])
    with write_session() as session:
        root = cast["root"]
        good = {"name": "Other", "url": "http://127.0.0.1:1/", "events": ["deal.won"]}
        for wrong in ({"name": " hook "}, {"name": ""}, {"url": "x"}, {"events": ["deal.exploded"]}, {"owner_id": 999}, {"filter": {"field": "nothing"}},
                      {"events": ["deal.won", "lead.created"], "filter": {"field": "name", "cmp": "eq", "value": "x"}}):  # fmt: skip
            with pytest.raises(Invalid) as error:
                webhooks.save(session, root, None, good | wrong)
            assert set(error.value.fields) <= set(wrong) | {"filter"}
        with pytest.raises(Conflict):
            webhooks.save(session, root, hook.id, {}, base_version=99)
        assert webhooks.new_secret(session, root, hook.id) != hook.secret or True
        assert webhooks.choices(session, cast["alice"]) == {hook.id: "Hook"}
        first = webhooks.enqueue(session, cast["alice"], hook.id, dedupe_key="a:1", entity="deal", record_id=1, data={"x": 1})
        assert first and webhooks.enqueue(session, cast["alice"], hook.id, dedupe_key="a:1") is None
        with pytest.raises(Conflict):
            webhooks.replay(session, root, first)
        webhooks.remove(session, root, hook.id)
        for gone in (
            lambda: webhooks.remove(session, root, hook.id),
            lambda: webhooks.message(session, root, first),
            lambda: webhooks.enqueue(session, root, hook.id, dedupe_key="b"),
        ):
            with pytest.raises(NotFound):
                gone()


def test_what_automations_told_waits_while_all_of_them_are_stopped_and_leaves_afterwards(cast, there, monkeypatch):
    root = cast["root"]
    hook = make(cast, there.url)
    lead = do(leads.create, root, {"name": "Grace"})

    def tell(key):
        do(webhooks.enqueue, root, hook.id, dedupe_key=f"automation:{key}", entity="lead", record_id=lead.id, start=False)

    tell("before")
    real = webhook_run._send

    def stopped_meanwhile(message):
        do(halts.stop, root, HaltKind.AUTOMATIONS, "Told too much")
        return real(message)

    monkeypatch.setattr(webhook_run, "AT_ONCE", 1)
    monkeypatch.setattr(webhook_run, "_send", stopped_meanwhile)
    tell("in the same handful")
    work()
    monkeypatch.setattr(webhook_run, "_send", real)
    assert [(row.state, row.attempts) for row in sent()] == [(HookState.DELIVERED, 1), (HookState.WAITING, 0)]
    deal(cast["alice"], name="Big one")
    work()
    assert [row.state for row in sent()] == [HookState.DELIVERED, HookState.WAITING, HookState.DELIVERED], "other programs go on"
    assert do(stopping.waiting, root).messages == 1
    assert do(stopping.resume, root).messages == 1
    work()
    assert {row.state for row in sent()} == {HookState.DELIVERED} and len(there.got) == 3
