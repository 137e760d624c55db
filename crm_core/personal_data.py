"""Which tables hold data about persons, how a row leads to the person, and what becomes of it when somebody is erased: the one list by which the report
of a person and their erasure go. A table or a column that is missing here fails a test, so that nothing new can be forgotten.

How a row leads to somebody (``by``, several apart by a space; one is enough):

=====================  =============================================================================================
``contact_id``         a column that names the contact or the lead (``id``: the record itself)
``ticket_id>ticket``   a column that names a row of another table here, which leads to somebody
``*``                  ``entity`` and ``record_id`` name the contact or the lead
``**``                 these, or a call, a note, a task or a ticket of theirs
``@address_key``       an address of theirs; ``#caller_key``: a number of theirs
``@import``, …         a way of its own, see ``crm_core.services.admin.privacy.rows``
=====================  =============================================================================================
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import JSON, Column, Enum, String
from sqlalchemy.types import TypeDecorator

SYSTEM = ("id", "created_at", "updated_at", "version", "deleted_at")
"""Columns that many tables have and that say nothing about anybody."""

ERASED, ERASED_PERSON = "Erased", "Erased person "
NAMED, UNIQUE, EXTRA = object(), object(), object()
"""What needs the row: a name with its number; a key that no other row has; own fields without those that tell who somebody is."""


@dataclass(frozen=True)
class Held:
    """One table. ``label``: what people call its rows ("" for what only helps to find others); ``why``: why there is nobody in it, or what of it stays
    after an erasure and for what. Its columns: ``wiped`` (column → what stands there afterwards), ``words`` (texts in which anybody may write a name or
    an address: these are taken out wherever they stand), ``fixed`` (texts that are keys or names of our own), ``plain`` (numbers, days, states).
    ``gone``: its rows are deleted."""

    label: str
    why: str
    by: tuple[str, ...] = ()
    wiped: Mapping[str, Any] = field(default_factory=dict)
    words: tuple[str, ...] = ()
    fixed: tuple[str, ...] = ()
    plain: tuple[str, ...] = ()
    gone: bool = False

    @property
    def columns(self) -> set[str]:
        return {*self.wiped, *self.words, *self.fixed, *self.plain}


def some(
    label: str, by: str, *, why: str = "", wiped: Mapping[str, Any] | None = None, words: str = "", fixed: str = "", plain: str = "", gone: bool = False,
) -> Held:  # fmt: skip
    """A table with rows about persons."""
    return Held(label, why, tuple(by.split()), wiped or {}, tuple(words.split()), tuple(fixed.split()), tuple(plain.split()), gone)


def none(why: str, *, words: str = "", fixed: str = "", plain: str = "") -> Held:
    """A table without persons, and why; somebody may still have written a name into its texts."""
    return Held("", why, (), {}, tuple(words.split()), tuple(fixed.split()), tuple(plain.split()))


def is_text(column: Column[Any]) -> bool:
    """Whether a column can hold words."""
    kind: Any = column.type
    if isinstance(kind, TypeDecorator):
        kind = kind.impl_instance
    return isinstance(kind, JSON) or (isinstance(kind, String) and not isinstance(kind, Enum))


TABLES: dict[str, Held] = {
    "absence": none("holidays of colleagues", words="note", plain="user_id first_on last_on hand_on handed_at"),
    "account": none("companies; whoever works there has a contact of their own", words="extra description", fixed="name name_sort industry website domain email phone street postcode city country", plain="kind employees revenue_minor founded_year parent_id owner_id customer_since renews_on customer_until handover_state handover_at"),
    "account_point": none("addresses and numbers of companies", fixed="value value_key label", plain="kind is_primary opted_out invalid verified_at account_id"),
    "activity": some("Calls, meetings and notes", "contact_id lead_id ticket_id>ticket", wiped={"subject": ERASED, "body": None, "place": None, "extra": EXTRA}, why="kind, day and length, for figures of work", plain="kind at minutes outcome account_id contact_id deal_id lead_id ticket_id owner_id"),
    "analysis_mark": some("Scores, clusters and personas", "*", gone=True, words="kind label detail", fixed="entity", plain="record_id number run_id at"),
    "analysis_run": none("parameters and sums of an analysis; rows of persons lie in its tables", words="kind name params data_versions verdict result warnings", fixed="key scope code_version job_id", plain="as_of requested_by state reliable started_at finished_at published_at archived_at"),
    "analysis_table": some("", "@analysis", why="rows of other people", words="name", plain="run_id rows data"),
    "api_call": none("that a program asked, not what it was told", words="path", fixed="method", plain="at key_id status ms"),
    "api_key": none("programs that may ask", words="name scopes", fixed="prefix sha256", plain="user_id created_by_id expires_at last_used_at revoked_at"),
    "api_replay": none("answers to programs, for a day", words="fingerprint answer", fixed="key", plain="key_id at status"),
    "app_user": none("colleagues; their names and addresses are theirs, not a customer's", fixed="name email email_key password_hash oidc_subject timezone locale", plain="is_active team_id manager_id filing_turn last_seen_at"),
    "article": none("help texts", words="extra title summary body", fixed="category slug", plain="language state owner_id review_by reviewed_on published_at"),
    "article_product": none("what a help text is about", plain="article_id product_id"),
    "article_use": none("which help text was sent", plain="article_id message_id user_id reopened_count at"),
    "article_vote": none("votes without a name, by a hash of the reader that is made anew every day", fixed="visitor_hash source_hash", plain="article_id helped"),
    "attachment": some("Files", "**", wiped={"name": ERASED, "sha256": ""}, why="that there was a file", fixed="entity media_type", plain="record_id size_bytes uploaded_by_id"),
    "audit_policy": none("settings of the workspace", plain="log_reads keep_reads_months keep_signins_months keep_settings_months keep_values_months redacted_until"),
    "audit_seal": none("hashes over runs of events", words="previous", fixed="sha256 kept_sha256", plain="first_id last_id count at kept_count trimmed_at"),
    "auth_session": none("signed-in colleagues", words="address browser", fixed="token_sha256", plain="user_id method expires_at last_seen_at"),
    "automation": none("rules that colleagues write", words="name listens reason recipe", fixed="entity", plain="state owner_id current hourly_cap active_since checked_at"),
    "automation_inbox": none("numbers of events", plain="event_id"),
    "automation_run": some("Automations", "*", why="how an automation went", words="step_id message", fixed="trigger_key entity", plain="automation_id version_number record_id state due_at ended_at attempts cause_id depth"),
    "automation_step": some("", "run_id>automation_run", why="how an automation went", words="step_id kind message", fixed="key", plain="run_id automation_id record_id outcome at until amount_minor"),
    "automation_version": none("rules that colleagues write", words="flow", plain="automation_id number author_id"),
    "backup_run": none("names of backups", words="path message", plain="at size_bytes seconds verified"),
    "booking": some("Meetings booked", "contact_id lead_id @email_key", wiped={"name": ERASED, "email": "", "email_key": "", "answers": {}, "source_hash": ""}, why="when it was", fixed="timezone", plain="page_id user_id activity_id guest_id lead_id contact_id state starts_at cancelled_at reminded_for marked_at marked_by_id asked_at again_at moved"),
    "booking_page": none("the words of a booking page, not who booked", words="name intro host_ids week place_text questions base_url", fixed="slug timezone source", plain="owner_id minutes step_minutes before_minutes after_minutes notice_hours ahead_days most_a_day calendar_id place ask_phone remind is_active"),
    "bulk_operation": none("how a bulk change is taken back; a person's part of it is taken out by hand of the erasure", words="title inverse", fixed="entity", plain="user_id count undone_at"),
    "campaign": none("what is sent to many", words="extra name goal description", plain="status starts_on ends_on budget_minor expected_response_pct expected_revenue_minor owner_id"),
    "campaign_channel": none("costs and channels", words="segment_ids exclude_ids funnel", plain="campaign_id channel planned_cost_minor actual_cost_minor starts_on ends_on outlet"),
    "campaign_member": some("Campaigns", "contact_id lead_id", wiped={"address": None}, why="what came of a campaign", words="skip_reason inside ways", fixed="variant", plain="campaign_id contact_id lead_id status is_control responded_at step due_at mail_id opened_at clicked_at unsubscribed_at replied_at"),
    "campaign_plan": none("who is chosen by rule, and what is expected", words="segment_ids exclude_ids goal funnel base_url message", plain="campaign_id state outlet purpose holdout_pct seed window_days expected_base_pct expected_lift_points send_at launched_at launched_by_id finished_at promotion_id"),
    "campaign_variant": none("letters before they are filled in", words="subject body", fixed="key", plain="campaign_id weight template_id"),
    "consent": some("Consents", "contact_id lead_id", wiped={"source": ""}, why="that there was a word, of when", plain="contact_id lead_id purpose way status basis at by_id is_latest"),
    "contact": some("Record", "id", wiped={"name": NAMED, "salutation": None, "job_title": None, "email": None, "phone": None, "birthday": None, "city": None, "preferred_hours": None, "timezone": None, "language": None, "goals": None, "do_not": None, "description": None, "extra": EXTRA}, why="account, owner, origin and country, without which figures would change", fixed="name_sort country source", plain="account_id owner_id preferred_channel do_not_call do_not_email"),
    "contact_point": some("Addresses and numbers", "contact_id", gone=True, words="value label", fixed="value_key", plain="kind is_primary opted_out invalid verified_at contact_id"),
    "custom_field": none("which fields there are, not what they hold", words="label options section help", fixed="entity key", plain="kind required pii filterable position active"),
    "dashboard": none("figures", words="name description settings", plain="owner_id shown_to role_id"),
    "dashboard_change": none("figures", words="words tiles", plain="dashboard_id by_id at"),
    "dashboard_note": none("remarks on figures", words="text", plain="dashboard_id day by_id"),
    "dashboard_tile": none("figures", words="title spec", plain="dashboard_id position width height kind"),
    "deal": some("Deals", "contact_id", why="amounts and stages are figures of the company", words="extra name next_step lost_reason competitor won_reason description", fixed="name_sort currency source", plain="account_id contact_id pipeline_id stage_id outcome owner_id amount_minor amount_locked mrr_minor arr_minor probability_pct probability_own forecast_category expected_close_on created_on closed_on stage_since last_activity_at last_contact_at next_step_on campaign_id product_id"),
    "deal_contact": some("Buying committees", "contact_id", why="how many take part", plain="deal_id contact_id role influence stance"),
    "deal_daily": none("sums by day", fixed="source", plain="day owner_id pipeline_id product_id outcome deals amount_minor cycle_days with_cycle"),
    "deal_line": some("", "deal_id>deal", why="kept with its deal", words="name", plain="deal_id product_id quantity unit_price_minor discount_pct billing periods tax_rate_pct total_minor tax_minor position"),
    "dial_attempt": some("Calls from lists", "entry_id>dial_entry", wiped={"before": {}}, why="how a list went", fixed="submit_key", plain="list_id entry_id user_id at outcome activity_id"),
    "dial_claim": some("", "entry_id>dial_entry", gone=True, words="person", plain="entry_id list_id user_id until"),
    "dial_entry": some("Call lists", "contact_id lead_id", why="how a list went", words="left_out", plain="list_id contact_id lead_id rank value state wait due_at attempts outcome last_at callback_by_id task_id"),
    "dial_list": none("rules that colleagues write; who is on it lies in dial_entry", words="name source_name filter q order_by", fixed="entity", plain="owner_id reach team_id source source_id purpose campaign_id retry_hours max_attempts from_minute until_minute weekdays_only calendar_id filled_at closed_at"),
    "duplicate_pair": some("", "@pair", gone=True, fixed="entity reasons", plain="first_id second_id state score rank scan by_id decided_at"),
    "erased_mark": none("hashes of erased addresses and numbers, so that nobody writes to them again", fixed="sha256", plain="kind request_id"),
    "event_log": some("Changes and events", "**", why="that something happened and when; what it said is taken out", words="type changes data", fixed="entity", plain="record_id record_version account_id at actor_id via cause_id depth"),
    "follow": some("", "*", why="numbers", fixed="entity", plain="user_id record_id"),
    "form_submission": some("Forms filled in", "lead_id", wiped={"payload": {}, "message": "", "source_hash": "", "external_id": None, "token_sha256": None}, why="that a form was sent", fixed="digest", plain="form_id slot via state lead_id source_id token_until confirmed_at"),
    "halt": none("when everything was stopped", words="reason outcome", plain="kind at by_id ended_at ended_by_id kept"),
    "handover": none("an account that goes from colleague to colleague", words="note reason", plain="account_id from_user_id to_user_id edge state decided_at"),
    "handover_checklist": none("settings of the workspace", words="items", plain="edge"),
    "handover_item": none("what is to be done when an account goes to a colleague", words="label", plain="handover_id position looks_at required done done_by_id done_at"),
    "help_centre": none("settings of the workspace", words="title intro", plain="is_on indexed form_id"),
    "home_page": none("which page opens first", words="page", plain="role_id user_id dashboard_id"),
    "import_link": some("", "*", why="numbers", fixed="entity", plain="run_id record_id record_version"),
    "import_mapping": none("names of columns", words="mapping", fixed="entity header_hash"),
    "import_row": some("Rows of imports", "@import", wiped={"raw": {}, "before": None, "errors": {}}, why="the outcome of each row", plain="run_id n outcome record_id record_version"),
    "import_run": none("a file that came in; its rows lie in import_row, and a file that names the person is deleted", words="file_name file_path options mapping report message", fixed="entity file_sha256 header_hash", plain="state total_rows done_rows created updated unchanged rejected user_id finished_at"),
    "inbound_mail": some("Mail received", "contact_id @sender_key activity_id>activity ticket_message_id>ticket_message", wiped={"message_id": "", "sender": "", "sender_key": "", "sender_name": "", "subject": "", "preview": "", "reason": "", "raw": "", "undo": None}, why="that a message came in, and when", words="dedupe_key", plain="mailbox_id sent_at size_bytes state ticket_id ticket_message_id contact_id activity_id settled_by_id settled_at"),
    "inbox_done": none("numbers of things that a colleague put aside", words="kind", plain="record_id by_id"),
    "interaction": some("", "activity_id>activity *", wiped={"sender": "", "people": [], "message_id": None}, why="that something was exchanged", fixed="entity", plain="activity_id channel direction record_id thread_id user_id settled_at settled_by_id"),
    "job_run": none("background work, by number", words="title message cursor", fixed="job_id name", plain="user_id attempt progress_attempt done total"),
    "lead": some("Record as a lead", "id", wiped={"name": NAMED, "job_title": None, "company": None, "email": None, "phone": None, "website": None, "city": None, "description": None, "extra": EXTRA}, why="state, owner, origin and country, without which figures would change", words="grade disqualified_reason", fixed="name_sort country source", plain="phone_invalid status_id campaign_id owner_id estimated_minor score points first_response_at converted_at converted_account_id converted_contact_id converted_deal_id"),
    "lead_form": none("the words of a form, not what was filled in", words="name title intro thanks fields defaults embed_hosts", fixed="slug key_sha256", plain="ask_consent asks_price confirm_by_mail is_active"),
    "lead_points": some("Lead points", "lead_id", why="figures", plain="lead_id fit behaviour reached_at computed_at"),
    "lead_source": none("settings of the workspace", words="name url header items_path id_path consent_path mapping cursor_param cursor_in cursor_path cursor message", fixed="secret_sealed", plain="form_id keeps_cursor every_minutes is_active next_pull_at lease_until last_pull_at last_good_at failures new_count known_count failed_count new_total"),
    "lead_status": none("settings of the workspace", fixed="label", plain="kind position"),
    "lead_watch": some("", "lead_id", why="figures", plain="lead_id due_at told_at escalated_at"),
    "letter_template": none("letters before they are filled in", words="name about subject body", plain="use visibility owner_id archived_at used_count used_at"),
    "letter_template_version": none("letters before they are filled in", words="subject body", plain="template_id number use visibility author_id brought_back"),
    "macro": none("answers before they are filled in", words="name about steps", plain="visibility owner_id rank used_count used_at"),
    "mail_delivery": some("Mail sent", "contact_id lead_id @address_key", wiped={"address": "", "address_key": "", "name": "", "subject": "", "content": "", "html": "", "headers": {}, "message_id": "", "attachments": None, "file": "", "message": ""}, why="that a message went out, and when", words="dedupe_key kind batch", fixed="claim", plain="state secret purpose keep attempts next_at claimed_at sent_at contact_id lead_id user_id"),
    "mailbox": none("our own addresses", words="name signature ack_subject ack_body message", fixed="address host username folder address_key secret_sealed key_sha256 signing_sealed category", plain="source port tls first_days becomes unknown team_id owner_id impact urgency plus_address acknowledge is_active uid_validity last_uid last_pull_at last_good_at next_pull_at lease_until failures"),
    "match_key": some("", "*", gone=True, words="kind", fixed="entity key", plain="record_id"),
    "meeting_guest": some("Invitations to meetings", "contact_id lead_id @email_key", wiped={"name": ERASED, "email": "", "email_key": UNIQUE, "title": "", "link": "", "told": ""}, why="that somebody took part", fixed="timezone", plain="activity_id contact_id lead_id state answered_at told_version removed_at"),
    "notification": some("", "**", gone=True, words="kind params dedupe_key", fixed="entity", plain="user_id record_id at show_at in_app read_at mail mail_due_at mailed_at"),
    "one_time_link": none("links for colleagues", fixed="token_sha256", plain="purpose user_id expires_at used_at created_by_id"),
    "order_daily": none("sums by day", fixed="source", plain="day owner_id orders revenue_minor"),
    "order_line": some("Bought", "order_id>sales_order", why="kept with its order", words="name", plain="order_id product_id quantity unit_price_minor discount_pct billing periods tax_rate_pct total_minor tax_minor promotion_minor"),
    "organisation": none("the workspace itself", words="date_format phone_region working_hours", fixed="name currency timezone locale", plain="fiscal_year_start_month is_demo single_threaded_minor tax_rate_pct"),
    "outreach_rules": none("settings of the workspace", words="quiet_from quiet_until postal_address", plain="needs_consent cap_7_days cap_30_days quiet_weekends holdout_pct"),
    "personal_read": some("Looks at personal data", "*", why="who looked, and when: proof for the person and for us", fixed="entity ids words", plain="at slot user_id record_id way via count"),
    "pick_option": none("values of lists", words="value", fixed="entity field_key", plain="position active"),
    "pin": some("", "*", why="numbers", fixed="entity", plain="record_id activity_id"),
    "pipeline": none("settings of the workspace", words="name", plain="position is_default is_active"),
    "pipeline_snapshot": none("deals as they stood, by number", plain="deal_id from_on until_on owner_id pipeline_id stage_id amount_minor expected_close_on probability_pct category backfilled"),
    "pipeline_snapshot_day": none("sums by day", plain="taken_on taken_at deals amount_minor"),
    "point_rule": none("rules that colleagues write", words="name filter signal", plain="kind points cap half_life_days is_active"),
    "privacy_request": some("Requests about personal data", "*", why="that they asked, when, and what was done: proof", words="reason outcome", fixed="entity job_id words cursor people file", plain="kind record_id state asked_on due_on by_id done_at expires_at"),
    "product": none("what is sold", words="extra name description", fixed="name_sort sku", plain="category_id price_minor cost_minor stock billing tax_rate_pct is_active"),
    "product_category": none("names of product groups", words="name", plain="is_active"),
    "product_daily": none("sums by day", plain="day product_id orders quantity_milli revenue_minor"),
    "product_suggestion": some("Products suggested", "*", why="how often a suggestion was right", fixed="entity", plain="record_id product_id because_id run_id user_id taken at"),
    "promotion": none("what may be had for less", words="extra name description rule_of rule", fixed="code", plain="state effect percent_off amount_off_minor min_order_minor product_id category_id code_kind starts_on ends_on budget_minor max_redemptions per_customer segment_id campaign_id owner_id spent_minor redeemed_count ended_because"),
    "promotion_code": some("Codes given out", "contact_id lead_id", why="how many were given out", words="given_for", fixed="code draw_key", plain="promotion_id given_at campaign_id contact_id lead_id"),
    "promotion_redemption": some("Codes used", "contact_id", wiped={"remark": ""}, why="the amount", fixed="code", plain="promotion_id order_id code_id account_id contact_id campaign_id amount_minor at by_id via from_shop released_at released_because"),
    "queue_item": some("", "*", why="numbers", fixed="entity", plain="record_id queue_id rule_id since told_at"),
    "quota": none("targets of colleagues", plain="owner_id month_on amount_minor"),
    "record_merge": some("Merges with other records", "@merge", wiped={"snapshot": {}}, why="which records became one, so that all of them are found", fixed="entity moved", plain="survivor_id loser_id by_id undone_at"),
    "report_recipient": some("Reports by mail", "@email_key", gone=True, words="email", fixed="email_key public_id", plain="schedule_id unsubscribed_at"),
    "report_schedule": none("figures by mail", words="filters message", plain="dashboard_id owner_id every day hour is_active next_at last_at"),
    "role": none("what colleagues may do", fixed="key name description"),
    "role_field_mask": none("what colleagues may see", fixed="entity field_key", plain="role_id level strict"),
    "role_permission": none("what colleagues may do", fixed="entity", plain="role_id action scope"),
    "routing_decision": some("Assignment to colleagues", "*", why="how work was given out", words="rule_name candidates why", fixed="entity", plain="record_id rule_id method outcome user_id queue_id at by_id"),
    "routing_rule": none("rules that colleagues write", words="name filter people territory skill weights", fixed="entity", plain="rank is_active method team_id queue_id"),
    "routing_setting": none("settings of the workspace", words="value", fixed="key"),
    "routing_turn": none("whose turn it is among colleagues", words="state", plain="rule_id turns"),
    "sale_daily": none("sums by day", plain="day owner_id category_id lines revenue_minor"),
    "sales_order": some("Orders", "contact_id", why="kept by law, and figures must not change: amounts, days and goods", words="extra description", fixed="number currency source", plain="account_id contact_id deal_id owner_id status ordered_at total_minor tax_minor campaign_id"),
    "saved_view": none("how colleagues lay out their lists", words="name layout", fixed="entity", plain="owner_id visibility is_default"),
    "search_document": some("", "*", why="written anew with the record", words="text", fixed="entity", plain="record_id"),
    "segment": none("rules; its members lie in segment_member", words="extra name description rule progress drift", fixed="source", plain="entity kind visibility owner_id counted_at member_count"),
    "segment_member": some("Segments", "@segment", why="how large a segment was", plain="segment_id record_id entered_at left_at reason"),
    "service_calendar": none("working hours", words="name week exceptions", fixed="timezone"),
    "share_link": none("links to figures", words="label filters", fixed="public_id password_hash", plain="kind target_id owner_id expires_at revoked_at embeddable"),
    "share_view": none("who opened a link to figures: an address of the network, kept for thirty days", words="address browser", plain="link_id at refused"),
    "shop": none("settings of the workspace", words="name", fixed="token secret", plain="kind owner_id campaign_id create_products cart_minutes is_active"),
    "shop_delivery": some("Messages of shops", "order_id>sales_order", wiped={"payload": {}, "message": ""}, why="that a message came", words="topic", fixed="delivery_key external_id", plain="shop_id state order_id done_at"),
    "shop_link": none("numbers of orders and goods in a shop", words="kind title facts", fixed="external_id", plain="shop_id record_id changed_at"),
    "signin_attempt": none("tries of colleagues to sign in", fixed="key", plain="at"),
    "signing_key": none("keys of the installation", fixed="purpose key"),
    "sla_clock": none("times of tickets", plain="ticket_id target seq policy_id minutes started_at due_at paused_at paused_seconds met_at cancelled_at breached_at warned_pct next_warn_at raised_to"),
    "sla_policy": none("settings of the workspace", words="name filter targets escalation", plain="rank is_active calendar_id escalate_to_id"),
    "speed_target": none("settings of the workspace", fixed="source", plain="minutes calendar_id escalate_to_id"),
    "stage": none("settings of the workspace", words="name gate gate_message", plain="pipeline_id kind position probability_pct max_idle_days forecast_category gate_strictness"),
    "stage_event": none("when a deal moved", plain="deal_id from_stage_id to_stage_id at by_id seconds_in_from"),
    "submit_key": none("which record a form of ours made, for a day", words="result", fixed="key", plain="at"),
    "summary_dirty": none("days that are counted anew", words="summary", plain="day from_at until_at"),
    "suppression": some("Blocks", "@address_key", gone=True, why="a hash", fixed="address_key source", plain="way reason lifted_at by_id"),
    "survey": none("questions, not answers", words="name question follow_up questions thanks mail_subject mail_intro filter base_url round_name", plain="kind revision_no trigger wait_hours sample_pct cooldown_days expires_days needs_consent owner_id is_active active_since round_after"),
    "survey_answer": some("Answers to surveys", "invitation_id>survey_invitation", wiped={"comment": ""}, why="the score", plain="invitation_id survey_id score at changed_at completed_at way detractor_at task_id"),
    "survey_invitation": some("Surveys sent", "contact_id *", why="how many were asked", words="dedupe_key skipped", fixed="entity category", plain="survey_id contact_id record_id account_id owner_id team_id sent_at opened_at expires_at revision_no"),
    "survey_reply": some("Replies to further questions", "answer_id>survey_answer", wiped={"text": ""}, why="the number", words="question", plain="answer_id survey_id number"),
    "survey_revision": none("questions, not answers", words="form", plain="survey_id no"),
    "table_version": none("counters of caches", words="name"),
    "task": some("Tasks", "contact_id lead_id ticket_id>ticket", wiped={"subject": ERASED, "body": None, "extra": EXTRA}, why="who had to do it, and when", plain="status priority due_at done_at account_id contact_id deal_id lead_id ticket_id owner_id"),
    "team": none("groups of colleagues", fixed="name office"),
    "ticket": some("Tickets", "contact_id", wiped={"subject": ERASED, "serial_number": None, "extra": EXTRA}, why="kind, times and promises, for figures of service", fixed="number category", plain="status impact urgency priority channel account_id contact_id product_id owner_id team_id opened_at first_response_at solved_at sla_due_at closed_at reopened_count first_solved_at answer_count response_promise resolution_promise response_minutes resolution_minutes satisfaction rated_at mailbox_id follows_id merged_into_id"),
    "ticket_daily": none("sums by day", fixed="response_minutes response_work resolution_minutes resolution_work", plain="day owner_id response_promised response_kept resolution_promised resolution_kept came went first_solved reopened answered_solved first_contact rated satisfied"),
    "ticket_merge": none("which tickets became one", words="moved", plain="source_id target_id by_id undone_at"),
    "ticket_message": some("Messages of tickets", "ticket_id>ticket", wiped={"body": ERASED, "author_name": None, "message_id": None, "quoted": None, "html": None, "mail": None}, why="direction and time", plain="ticket_id direction at author_id"),
    "touchpoint": some("Visits and responses", "contact_id lead_id", wiped={"url": None, "anonymous_id": None}, why="channel and day, for attribution", words="kind", plain="contact_id lead_id channel campaign_id at cost_minor"),
    "tracked_link": none("where letters lead", words="url", plain="campaign_id"),
    "user_closure": none("who reports to whom", plain="ancestor_id descendant_id depth"),
    "user_preference": none("wishes of colleagues", words="channels", fixed="feed_sha256", plain="user_id quiet_from quiet_to digest_minute digest_weekday meeting_minutes first_weekday feed_since"),
    "user_role": none("what colleagues may do", plain="user_id role_id"),
    "view_default": none("how colleagues lay out their lists", fixed="entity", plain="view_id user_id role_id"),
    "view_pin": none("how colleagues lay out their lists", plain="user_id view_id position"),
    "view_team": none("how colleagues lay out their lists", plain="view_id team_id"),
    "voice_call": some("Telephone", "contact_id #caller_key activity_id>activity ticket_id>ticket", wiped={"caller": "", "caller_key": "", "steps": [], "recording_url": "", "call_sid": UNIQUE}, why="how long a call took and how it ended", fixed="node", plain="menu_id version_no contact_id activity_id ticket_id task_id owner_id turn tries outcome started_at ended_at seconds"),
    "voice_menu": none("the words of a telephone menu", words="name flow", fixed="key number language token_sealed", plain="calendar_id team_id owner_id published_no is_active"),
    "voice_version": none("the words of a telephone menu", words="flow", plain="menu_id no by_id"),
    "webhook": none("addresses of other programs", words="name url events filter off_reason", fixed="secret", plain="owner_id is_active since_at failures delivered_at"),
    "webhook_delivery": some("Messages to other programs", "**", wiped={"data": {}, "payload": "", "answer": "", "message": ""}, why="that something was sent", words="dedupe_key type", fixed="entity claim", plain="webhook_id record_id event_id state attempts next_at claimed_at status ms delivered_at"),
    "work_profile": none("skills and hours of colleagues", words="skills capacity", plain="user_id takes_work calendar_id"),
    "work_queue": none("settings of the workspace", words="name", plain="team_id max_wait_minutes"),
    "worker_heartbeat": none("processes", fixed="executor_id", plain="started_at seen_at"),
}  # fmt: skip
