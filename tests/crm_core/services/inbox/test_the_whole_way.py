"""A customer's mail on its whole way: fetched, promised, late, escalated, answered over SMTP, answered again, solved. And a worker killed in the middle."""

import email
import signal
from collections import Counter
from datetime import timedelta

import pytest
from sqlmodel import select

from crm_core.channels import email as mailing
from crm_core.jobs.run import begin
from crm_core.kit import clock
from crm_core.models import InboundMail, Mailbox, MailDelivery, Task, Ticket
from crm_core.services.collaboration import mail_run
from crm_core.services.helpdesk import answers, service_levels, sla_watch, slas, tickets
from crm_core.services.helpdesk.answers import NewFile
from crm_core.services.inbox import pulling
from crm_core.vocabulary import InboundState, MessageDirection, SlaState, SlaTarget, TicketKind
from tests.crm_core.services.inbox.post import box, letter
from tests.imap_server import imap
from tests.smtp_server import kept, smtp_in_settings
from tests.verbs import do, look
from tests.worker.test_kill import forget_dead_workers, until, worker


@pytest.fixture
def mail_server(tmp_path, monkeypatch):
    with smtp_in_settings(tmp_path / "arrived", monkeypatch) as arrived:
        yield arrived


def pull(name):
    do(lambda session: session.execute(Mailbox.__table__.update().values(next_pull_at=None, lease_until=None)))
    pulling.pull_due(begin(f"mailbox.pull:{name}", "mailbox.pull"))


def send():
    do(lambda session: session.execute(MailDelivery.__table__.update().values(next_at=clock.utcnow() - timedelta(seconds=1))))
    mail_run.send_due(begin(f"mail.send:{clock.utcnow().timestamp()}", "mail.send"))


def test_from_a_customers_mail_to_a_solved_ticket(cast, mail_server):
    sam, bob = cast["sam"], cast["bob"]
    do(
        service_levels.save,
        bob,
        None,
        name="All",
        targets={"normal": {"first": 60, "next": 60, "resolve": 600}},
        escalate_to_id=bob.user_id,
    )
    with imap() as server:
        box(cast["root"], **server.values, plus_address=True, signature="{{agent}}\n{{workspace}}", acknowledge=True)
        began = clock.utcnow() - timedelta(hours=2)
        server.put(letter("The pump is broken."))
        with clock.frozen(began):
            pull("1")
        (ticket,) = look(lambda session: list(session.exec(select(Ticket))))
        sla_watch.watch(begin("helpdesk.sla_watch:1", "helpdesk.sla_watch"))
        late = {one.target: one for one in look(slas.of_ticket, sam, ticket.id)}[SlaTarget.FIRST]
        assert late.state is SlaState.BREACHED
        assert [task.owner_id for task in look(lambda session: list(session.exec(select(Task))))] == [bob.user_id], (
            "it is escalated"
        )

        answer = do(
            answers.send,
            sam,
            ticket.id,
            "Try turning it off.",
            to="ida@customer.example",
            cc="boss@customer.example",
            enclosed=[NewFile("guide.pdf", b"%PDF-1")],
        )
        assert look(answers.deliveries, sam, ticket.id, [answer])[answer.id].words == "waiting"
        send()
        arrived = [one for one in kept(mail_server) if "Try turning" in one["text"]]
        assert sorted(one["to"][0] for one in arrived) == ["boss@customer.example", "ida@customer.example"]
        assert any(
            "We got your message" in one["text"] and "Auto-Submitted: auto-replied" in one["text"] for one in kept(mail_server)
        )
        wire = email.message_from_string(arrived[0]["text"])
        assert (
            wire["From"] == "Sam Agent <support@example.com>"
            and wire["To"] == "ida@customer.example"
            and wire["Cc"] == "boss@customer.example"
        )
        assert (
            wire["Message-ID"] == answer.message_id
            and wire["In-Reply-To"] == "<m1@customer.example>"
            and f"[#{ticket.number}]" in wire["Subject"]
        )
        parts = [part for part in wire.walk() if not part.is_multipart()]
        text = parts[0].get_payload(decode=True).decode()
        assert "Try turning it off.\n\n-- \nSam Agent\nTest Ltd" in text.replace("\r\n", "\n") and "> The pump is broken." in text
        assert parts[-1].get_filename() == "guide.pdf"
        assert look(answers.deliveries, sam, ticket.id, [answer])[answer.id].words == "sent"
        met = {one.target: one for one in look(slas.of_ticket, sam, ticket.id)}[SlaTarget.FIRST]
        assert met.state in (SlaState.MET, SlaState.MET_LATE, SlaState.BREACHED) and met.late

        back = mailing.parseaddr(wire["Reply-To"])[1]
        server.put(
            letter(
                "It works!\n\nOn Monday, Sam Agent <support@example.com> wrote:\n> Try turning it off.",
                number=2,
                To=back,
                subject="thanks",
            )
        )
        pull("2")
        said = look(tickets.messages, sam, ticket.id)
        assert [(one.direction, one.body) for one in said][-1] == (MessageDirection.INBOUND, "It works!") and said[-1].quoted
        now = look(tickets.get, sam, ticket.id)
        assert now.status is TicketKind.OPEN and len(look(lambda session: list(session.exec(select(Ticket))))) == 1
        do(tickets.solve, sam, ticket.id)
        assert look(tickets.get, sam, ticket.id).status is TicketKind.SOLVED


@pytest.mark.slow
def test_a_worker_that_is_killed_while_it_fetches_loses_and_doubles_nothing(cast):
    count = 40
    with imap() as server:
        server.put(*[letter(number=n, subject=f"S{n:03d}", sender=f"P{n} <p{n}@customer.example>") for n in range(count)])
        mailbox = box(cast["root"], **server.values)
        do(pulling.now, cast["root"], mailbox.id)
        seen = lambda: len(look(lambda session: list(session.exec(select(InboundMail.id)))))  # noqa: E731
        for wanted in (2, 14):
            with worker() as process:
                until(lambda wanted=wanted: seen() >= wanted or process.poll() is not None)
                assert process.poll() is None, "the worker died by itself"
                process.send_signal(signal.SIGKILL)
                process.wait()
            assert seen() < count, "killed too late to prove anything"
            forget_dead_workers()
            do(lambda session: session.execute(Mailbox.__table__.update().values(lease_until=None, next_pull_at=None)))
        with worker():
            until(lambda: seen() == count)
    rows = look(lambda session: list(session.exec(select(InboundMail))))
    assert Counter(row.subject for row in rows) == {f"S{n:03d}": 1 for n in range(count)}
    assert all(row.state is InboundState.TICKET for row in rows)
    found = look(lambda session: list(session.exec(select(Ticket.subject))))
    assert sorted(found) == [f"S{n:03d}" for n in range(count)]
