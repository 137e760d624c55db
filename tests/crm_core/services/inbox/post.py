"""Letters for the tests, and a mailbox to put them into."""

from crm_core.db import write_session
from crm_core.models import Mailbox
from crm_core.services.inbox import intake, mailboxes
from tests.verbs import do

BOX = {"name": "Support", "address": "support@example.com", "source": "files", "folder": "support"}


def box(actor, **values):
    """A mailbox that takes tickets."""
    return do(mailboxes.save, actor, None, {**BOX, **values})


def letter(text="It broke.", sender="Ida Berg <ida@customer.example>", subject="Broken pump", number=1, html="", **headers):
    """A letter as it comes over the wire."""
    head = {
        "From": sender,
        "To": "support@example.com",
        "Subject": subject,
        "Message-ID": f"<m{number}@customer.example>",
        "Date": "Wed, 25 Nov 2026 10:00:00 +0100",
    }
    head |= {key.replace("_", "-"): value for key, value in headers.items()}
    kind = "text/html" if html else "text/plain"
    lines = [f"{key}: {value}" for key, value in head.items() if value is not None]
    return "\r\n".join(
        [*lines, "MIME-Version: 1.0", f"Content-Type: {kind}; charset=utf-8", "Content-Transfer-Encoding: 8bit", "", html or text]
    ).encode()


def take(mailbox, raw):
    """Take a letter in, as the worker does."""
    with write_session() as session:
        return intake.take(session, session.get_one(Mailbox, mailbox.id), raw)
