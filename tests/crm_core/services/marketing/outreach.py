"""People who may be written to, and a campaign that writes to them: shared by the tests of campaigns."""

from contextlib import contextmanager

from sqlalchemy import insert, select
from sqlmodel import col
from sqlmodel import select as pick

from crm_core.db import bump, read_session, write_session
from crm_core.jobs.run import begin
from crm_core.kit.clock import utcnow
from crm_core.models import CampaignMember, Consent, Contact, MatchKey, OutreachRules
from crm_core.services.marketing import campaigns, launching, plans, segments, sending
from crm_core.vocabulary import ConsentStatus, ContactWay, Purpose
from tests.smtp_server import smtp_in_settings
from tests.verbs import do

BODY = "Hello {{first_name|there}},\n\nsee [our offer](https://shop.example.com/offer?x=1).\n\n- one\n- two"
BASE = "http://localhost:8501"


def people(number, *, agreed=True, first=0, **values):
    """Contacts with an address each (and consent); gives their ids."""
    now = utcnow()
    with write_session() as session:
        rows = [
            {
                "name": f"Ida{n} Person",
                "email": f"ida{n}@example.com",
                "created_at": now,
                "updated_at": now,
                "version": 1,
                "extra": {},
                **values,
            }
            for n in range(first, first + number)
        ]
        session.execute(insert(Contact), rows)
        emails = [row["email"] for row in rows]
        ids = list(session.exec(pick(Contact.id).where(col(Contact.email).in_(emails)).order_by(Contact.id)))[-number:]
        session.add_all(
            MatchKey(entity="contact", record_id=one, kind="email", key=email) for one, email in zip(ids, emails, strict=True)
        )
        if agreed:
            consent = {
                "purpose": Purpose.MARKETING,
                "status": ConsentStatus.GRANTED,
                "source": "test",
                "at": now,
                "is_latest": True,
            }
            session.execute(
                insert(Consent),
                [{"contact_id": one, "way": way, **consent} for one in ids for way in (ContactWay.EMAIL, ContactWay.PHONE)],
            )
        bump(session, "contact", "consent")
    return ids


def no_quiet_hours(actor, **values):
    """Rules without quiet hours, so that a test may run at night."""
    with write_session() as session:
        session.add(OutreachRules(**{"quiet_from": "", "quiet_until": "", "postal_address": "1 Road, Town", **values}))


def campaign(actor, ids, *, subject="Hello {{first_name}}", body=BODY, **plan):
    """A planned e-mail campaign over these contacts; gives its id."""
    made = do(campaigns.create, actor, {"name": "Spring offer"})
    segment = do(segments.create, actor, name=f"Segment of {made.id}", entity="contact", kind="static", record_ids=ids)
    do(plans.save, actor, made.id, {"segment_ids": [segment], "holdout_pct": 0, **plan})
    do(plans.set_variants, actor, made.id, [{"subject": subject, "body": body}])
    return made.id


def launch(actor, campaign_id):
    return do(launching.launch, actor, campaign_id, base_url=BASE)


def run(campaign_id, job_id="campaign.send:test"):
    sending.send(begin(job_id, "campaign.send"), campaign_id)


def members(campaign_id):
    table = CampaignMember.__table__
    with read_session() as session:
        return list(session.execute(select(table).where(table.c.campaign_id == campaign_id).order_by(table.c.id)))


@contextmanager
def mail_server(tmp_path, monkeypatch):
    """A mail server on loopback that is set in the settings; gives the file with what arrived."""
    with smtp_in_settings(tmp_path / "arrived", monkeypatch) as arrived:
        yield arrived
