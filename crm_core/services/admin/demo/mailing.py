"""The mailbox of the demo company, two macros, and a few letters that its worker fetches within a minute: a question, its answer, a machine, a stranger."""

from datetime import UTC, timedelta
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from sqlmodel import Session, col, select

from crm_core.kit.clock import utcnow
from crm_core.kit.text import email_key
from crm_core.models import Contact, Macro, Mailbox
from crm_core.services.inbox import pulling
from crm_core.vocabulary import MailSource, UnknownSender, Visibility

ADDRESS = "support@rapport.example"
_MACROS = (
    (
        "Ask for the serial number", "When a machine is broken and nobody says which one",
        [
            {"do": "answer", "text": "Hello {{first_name|there}},\n\nI am sorry to hear that. Which serial number does the machine have? It stands on a silver plate on its back.\n\nThank you"},
            {"do": "status", "value": "waiting_customer"},
        ],
    ),
    (
        "Solved, with thanks", "Closes a friendly conversation",
        [
            {"do": "answer", "text": "Hello {{first_name|there}},\n\nglad that it works again. If anything is left about {{number}}, just answer this message.\n\nBest wishes"},
            {"do": "status", "value": "solved"},
        ],
    ),
)  # fmt: skip
Letter = tuple[str, str, str, dict[str, str]]


def add(session: Session, people: dict[str, int]) -> list[tuple[str, bytes]]:
    """Write the mailbox and the macros; gives the letters as (file name, content), to be laid down once all of it is there."""
    session.add(
        Mailbox(
            name="Support", address=ADDRESS, address_key=email_key(ADDRESS), source=MailSource.FILES, folder="support", unknown=UnknownSender.TRAY,
            category="Question", signature="{{agent}}\n{{workspace}}",
        )
    )  # fmt: skip
    for rank, (name, about, steps) in enumerate(_MACROS, start=1):
        session.add(
            Macro(
                name=name,
                about=about,
                visibility=Visibility.SHARED,
                owner_id=people.get("support_agent"),
                steps=list(steps),
                rank=rank,
            )
        )
    session.flush()
    known = select(Contact.name, Contact.email).where(col(Contact.email).is_not(None)).order_by(col(Contact.id)).limit(2)
    asks, waits = [(name, str(email)) for name, email in session.exec(known)]
    return _letters(asks, waits)


def _letters(asks: tuple[str, str], waits: tuple[str, str]) -> list[tuple[str, bytes]]:
    now = utcnow()
    again = {"In-Reply-To": "<grinder-1@demo.example>", "References": "<grinder-1@demo.example>"}
    quoted = f"On Monday, {asks[0]} wrote:\n> Since this morning the grinder stops after two or three cups."
    written = [
        (asks, "The grinder stops after two cups", "Good morning,\n\nsince this morning the grinder stops after two or three cups. Is that the belt?\n\nThank you", {"Message-ID": "<grinder-1@demo.example>"}, 50),
        (asks, "Re: The grinder stops after two cups", f"One thing I forgot: it smells a little burnt, too.\n\n{quoted}", {"Message-ID": "<grinder-2@demo.example>", **again}, 35),
        (waits, "Automatic reply: away until Thursday", "I am away until Thursday and read your message then.", {"Message-ID": "<away-1@demo.example>", "Auto-Submitted": "auto-replied"}, 25),
        (("Robin Vale", "robin.vale@orchard.example"), "Do you deliver to Lisbon?", "Hello,\n\nwe are opening a small café there in spring. Do you deliver, and from which quantity?\n\nRobin", {"Message-ID": "<lisbon-1@orchard.example>"}, 15),
        (("Trade Weekly", "news@tradeweekly.example"), "This week in coffee", "Ten trends that you should know.", {"Message-ID": "<weekly-7@tradeweekly.example>", "List-Id": "<news.tradeweekly.example>"}, 5),
    ]  # fmt: skip
    made = []
    for place, ((name, address), subject, text, more, minutes) in enumerate(written):
        letter = EmailMessage(policy=SMTP)
        letter["From"], letter["To"], letter["Subject"] = f'"{name}" <{address}>', ADDRESS, subject
        letter["Date"] = format_datetime((now - timedelta(minutes=minutes)).astimezone(UTC))
        for key, value in more.items():
            letter[key] = value
        letter.set_content(text)
        made.append((f"{place + 1}.eml", letter.as_bytes()))
    return made


def lay_down(letters: list[tuple[str, bytes]]) -> None:
    """Put the letters where the worker looks for them."""
    folder = pulling.folder_of(Mailbox(name="", address="", address_key="", folder="support"))
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in letters:
        (folder / name).write_bytes(content)
