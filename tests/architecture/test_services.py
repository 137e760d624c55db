"""Public functions of services: who acts is always known, and what they may do is always asked."""

import ast

from crm_core import events
from tests.architecture import source

SERVICES = source.ROOT / "crm_core" / "services"
ASKS = {"require", "require_reach", "visible", "owned_within"}
THROUGH = {
    "records": "the kernel asks for permission and reach",
    "lists": "every list is visible() rows only",
    "crud": "the kernel asks",
    "filters": "compiles inside visible()",
}
OPEN = {
    "routing/standing.py": "how people stand; who gets work depends on nobody's rights but their own, and decisions.py asks",
    "routing/flow.py": "the worker, which hands out what came in",
    "automation/engine.py": "the worker's own: each automation acts as its owner, whose rights every step asks",
    "automation/taking_up.py": "the worker's own: records are taken up as the owner of each automation sees them",
    "automation/moving.py": "the worker's own: each step acts as the owner of its automation, whose rights it asks",
    "automation/one_by_one.py": "the worker's own: each step acts as the owner of its automation, whose rights it asks",
    "automation/picking.py": "the worker's own: which runs are due, before any of them acts",
    "automation/places.py": "the worker's own: where runs stand",
    "automation/steps/notes.py": "the log of what the worker did; readers ask automations.py",
    "routing/escalating.py": "the worker's own: what a service level says is done as the product itself",
    "automation/upkeep.py": "the worker's own: records are found as the owner of each automation sees them",
    "marketing/capture.py": "strangers, through a public form or with a key; retry asks",
    "marketing/segment_upkeep.py": "the worker, which keeps the members of live segments in step for everybody",
    "admin/demo/": "builds a workspace nobody is in yet; remove() asks",
    "admin/founding.py": "the first visit: there is nobody yet who could be asked",
    "admin/setup.py": "set-up of an empty workspace, and the settings row that everybody signed in may read",
    "admin/passwords.py": "hashing alone",
    "admin/sessions.py": "the door itself: it finds out who it is",
    "admin/signin.py": "the door itself",
    "admin/links.py": "the door itself: a one-time link stands for the permission",
    "admin/single_signon.py": "the door itself",
    "admin/api_door.py": "the door of the API: a key stands for a person, whose rights hold from there on",
    "admin/people.py": "lookups for the door, before anybody is known",
    "admin/hierarchy.py": "keeps the closure table; its callers ask",
    "admin/workspace.py": "what everybody signed in may read",
    "admin/upkeep.py": "the nightly job",
    "sales/code_checks.py": "whether a code fits an order depends on nobody's rights; check, which people use, asks for the order",
    "sales/shop_door.py": "the door of shops: a signature stands for the person who acts for the shop",
    "collaboration/webhook_run.py": "the worker; each message asks what the webhook's owner may see",
    "admin/backups.py": "operators at the command line and the nightly job; the page asks for the right to manage jobs",
    "admin/restoring.py": "operators at the command line",
    "admin/moving.py": "operators at the command line",
    "customers/withdrawing.py": "a person's own no, written on every record that is theirs, whoever may see it; its callers ask or speak for the person",
    "customers/merge_moves.py": "part of merging and of taking apart, which ask; counted tells what the actor may see",
    "customers/duplicate_scan.py": "the job that looks through everything; start and state, which people use, ask",
    "collaboration/mail_run.py": "the job that sends what was queued",
    "collaboration/quiet_hours.py": "hours of the workspace, which everybody signed in may read",
    "analytics/snapshots.py": "the nightly job; what it keeps is read through pipeline_history, which asks",
    "inbox/intake.py": "mail of strangers, put where it belongs by the product itself",
    "inbox/threading.py": "whose mail it is, found out before anybody could be asked",
    "inbox/answering.py": "answers of strangers to mail of ours, put where it belongs by the product itself",
    "inbox/filing.py": "copies that colleagues send: the signed address and the sender are the permission; address_of is one's own",
    "marketing/lead_pulling.py": "the jobs that fetch leads; pull_now, which people use, asks",
    "inbox/pulling.py": "the jobs that fetch mail; now, which people use, asks",
    "inbox/webhook.py": "another mail server: the key in the address and the signature are the permission",
    "booking/taking.py": "strangers: the address of an open page or the signed link is the permission",
    "booking/tokens.py": "the signed links of booked meetings",
    "booking/hosts.py": "when people have time, for strangers; their meetings are never named",
    "booking/upkeep.py": "the job that reminds",
    "helpdesk/help_pages.py": "strangers who read the public help centre: only what is published is found",
    "feedback/answering.py": "readers of an invitation: the signed link is the permission",
    "feedback/tokens.py": "the signed links of invitations",
    "marketing/tracking.py": "readers of messages are nobody here: the signed token in the link is the permission",
    "marketing/segment_drift.py": "the nightly job, which compares segments with their runs as their owners see them",
    "marketing/signing.py": "the key of those links",
    "marketing/visits.py": "visitors of the own web site are nobody here; open_key and lately, which people use, ask",
    "admin/privacy/rows.py": "which rows are about a person; requests.py, which people use, asks",
    "admin/privacy/scrubbing.py": "the job that erases; requests.erase, which people use, asks",
    "admin/privacy/erasing.py": "the job that erases; requests.erase, which people use, asks",
    "admin/privacy/copying.py": "the job that puts a copy together; requests.make_copy and file, which people use, ask",
    "admin/imports/": "the run's owner is the actor of every row; runs.py asks for the right to import",
}
"""Files whose functions need not take ``(session, actor, …)``, with the reason."""

EXCUSED = {
    "helpdesk/calendars.py free_days": "the actor's own working days",
    "helpdesk/calendars.py proposed_day": "the actor's own working days",
    "sales/redeeming.py give_back": "part of cancelling and deleting an order, which ask",
    "sales/gates.py check": "part of moving a deal, which asks",
    "sales/gates.py note": "part of moving a deal, which asks",
    "booking/pages.py may_edit": "asks what the role grants",
    "collaboration/view_choices.py pins": "the asker's own pins; each is shown only with the right to read its list",
    "collaboration/view_choices.py unpin": "takes the asker's own pin away, and no other",
    "collaboration/views.py row_of": "finds what is within the asker's reach: their own, their team's, everyone's",
    "collaboration/views.py forget_choice": "part of choosing a view, which asks",
    "collaboration/views.py choose_own": "part of choosing a view, which asks",
    "collaboration/invitations.py add": "part of invite and of booking, which ask",
    "collaboration/invitations.py answered": "part of taking mail in",
    "feedback/inviting.py ask": "part of the job and of send, which asks",
    "feedback/inviting.py may_send": "asks what the role grants",
    "telephony/dial_lists.py may_call": "asks what the role grants",
    "collaboration/activities.py price_asked": "part of log, which asks, and of a sending of a public form",
    "collaboration/suppressions.py note": "part of a bounce or of unsubscribing, which ask or speak for the person",
    "customers/created_anyway.py note": "part of crud.create_anyway and of converting a lead, which ask",
    "customers/consent_files.py imported": "part of an import, which asks",
    "customers/consent.py rules": "what everybody signed in may read",
    "customers/consent.py from_when": "an instant, no record",
    "collaboration/bounces.py note": "part of taking mail in; take_in, which people use, asks",
    "helpdesk/answers.py headers": "part of send, which asks",
    "helpdesk/article_uses.py note": "part of answering a ticket, which asks",
    "collaboration/outbox.py queue": "part of the use case that has something to say, which asks",
    "collaboration/outbox.py recall": "part of taking somebody out of a campaign or an automation, which asks",
    "customers/unsubscribing.py note_left": "part of taking a complaint in",
    "customers/consent.py append": "part of record, which asks, and of a person's own unsubscribing",
    "collaboration/outbox.py shift": "part of pausing and stopping a campaign, which asks",
    "collaboration/agenda.py people": "narrowed by the reach of the actor's role; names of colleagues, which everybody signed in may read",
    "collaboration/feeds.py renew": "one's own calendar",
    "collaboration/feeds.py revoke": "one's own calendar",
    "collaboration/following.py begin": "part of mentioning, which tells only those who may see the record",
    "collaboration/following.py stop": "one's own list, also of what one may no longer see",
    "collaboration/following.py is_on": "one's own list",
    "collaboration/interactions.py answered": "part of logging an activity and of filing mail, which ask or speak for the sender",
    "collaboration/mentions.py tell": "part of logging an activity or a note, which asks",
    "collaboration/mentions.py mentioned": "names of colleagues, which everybody signed in may read",
    "collaboration/notifications.py withdraw": "part of the verb that settles the matter, which asks",
    "collaboration/notifications.py wishes_of": "one's own wishes",
    "collaboration/notifications.py unread": "one's own notifications",
    "collaboration/notifications.py find": "one's own notifications; titles hide what is not shared",
    "collaboration/notifications.py told": "one's own notifications; titles hide what is not shared",
    "collaboration/notifications.py mark": "one's own notifications",
    "collaboration/notifications.py mark_all": "one's own notifications",
    "collaboration/notifications.py snooze": "one's own notifications",
    "collaboration/notifications.py preference": "one's own wishes",
    "collaboration/notifications.py choose": "one's own wishes",
    "admin/users.py change_password": "one's own password, after giving the old one",
    "admin/users.py me": "one's own account",
    "admin/users.py update_me": "one's own account",
}
"""Use cases that touch nothing but the actor's own, with the reason."""

HELPERS = {
    "admin/retention.py forget_reads": "the nightly job, by rules that an administrator set",
    "admin/retention.py trim_run": "the nightly job, by rules that an administrator set",
    "admin/retention.py values_before": "the nightly job, by rules that an administrator set",
    "admin/retention.py finish": "the nightly job, by rules that an administrator set",
    "collaboration/files.py take_off": "part of taking a conversion back, which asks",
    **{
        f"sales/promotions.py {name}": why
        for name, why in {
            "today": "a day, no record",
            "day_of": "a day, no record",
            "locked": "part of counting a use, which asks for the order",
            "hold": "the same for several",
            "end_by_itself": "part of the use that was the last one, and of the job",
            "anything_over": "whether the clock must start the job",
        }.items()
    },
    **{
        f"sales/promotion_codes.py {name}": "part of writing to people, which asks; says no more of a promotion than its letter does"
        for name in ("usable", "paused", "shown", "draw")
    },
    "sales/redeeming.py follow_customer": "part of changing an order, which asks",
    "collaboration/files.py carry_over": "part of converting a lead, which asks",
    "collaboration/suppressions.py mark_points": "part of a bounce or of lifting a block, which ask or speak for the person",
    "customers/points.py key_of": "how an address is written, no record",
    "customers/points.py region_of": "a setting of the workspace, no record",
    "customers/points.py follow_main": "part of saving the record, which asks",
    "customers/checklists.py of": "part of offering an account and of find and save, which ask",
    "sales/lines.py usual_rate": "a setting of the workspace; the saving of lines around it asks",
    "sales/gates.py answered": "marks the session; the service that moves the deal asks",
    "collaboration/halts.py halted": "whether everything stands still, for workers and whoever asks around them",
    "helpdesk/calendars.py of_person": "the hours a task is counted in depend on nobody's rights",
    "helpdesk/calendars.py working_day": "the hours a task is counted in depend on nobody's rights",
    "helpdesk/slas.py hold": "part of raising the priority of a ticket, which the watch does",
    "bulk.py run_each": "for the functions around it, which ask",
    "customers/handover_views.py told_of": "whether an account has such a contact at all; the hand-over around it asks",
    "collaboration/invitations.py anybody_waits": "whether the clock must start the job",
    "collaboration/invitations.py tell": "the job that tells guests what changed",
    "collaboration/invitations.py as_known": "part of telling a guest",
    "collaboration/invitations.py soon": "starts the job",
    "routing/points.py count_all": "part of building the demo",
    "collaboration/reminders.py articles_to_review": "the job; notify asks what the addressee may see",
    "helpdesk/articles.py slugs": "addresses that are taken, no record",
    "helpdesk/article_finding.py index": "weighs words; what is found is narrowed to what the actor may see",
    "helpdesk/articles.py public_clause": "a condition, no record",
    "helpdesk/article_finding.py spoken": "what callers hear, who are nobody here: published articles alone",
    "helpdesk/article_uses.py noted": "part of taking an answer back, which asks",
    "helpdesk/article_uses.py moved": "part of merging tickets, which asks",
    "helpdesk/article_uses.py moved_back": "part of taking a merge apart, which asks",
    "helpdesk/help_centre.py known": "for the functions around it, which ask",
    "marketing/handouts.py called": "part of logging a call from a list, which asks",
    "feedback/surveys.py form_of": "what was asked, for the functions around it and for readers of an invitation",
    "booking/showing.py anybody_due": "whether the clock must start the job",
    "booking/showing.py ask_now": "the job; notify asks what the addressee may see",
    "telephony/menus.py problems": "for the functions around it, which ask",
    "telephony/menus.py spoken": "for the functions around it, which ask",
    "telephony/menus.py known": "for the functions around it, which ask",
    "telephony/menus.py version": "for the functions around it, which ask",
    "telephony/calls.py handle": "the telephone provider: the key in the address and the signature are the permission",
    "telephony/calls.py contact_of": "whose number rings, found out before anybody could be asked",
    "collaboration/incoming.py route_later": "part of creating a record, which asks",
    "collaboration/incoming.py any_rule": "whether anybody needs to be asked at all",
    **{
        f"routing/assign.py {name}": "part of route and explain, which ask"
        for name in ("propose", "weigh", "members", "place_of", "value_of", "lock", "rule_for", "open_ones")
    },
    "feedback/surveys.py known": "for the functions around it, which ask",
    "feedback/inviting.py anything_due": "whether the clock must start the job",
    "feedback/inviting.py invite_batch": "the job that sends what is due",
    "feedback/inviting.py lately": "part of ask, whose callers ask",
    "helpdesk/calendars.py calendar_of": "the hours a promise is counted in depend on nobody's rights",
    "helpdesk/calendars.py of_the_workspace": "the hours a wait is counted in depend on nobody's rights",
    "helpdesk/answers.py mailbox_of": "which address a ticket is answered from",
    "helpdesk/answers.py own_addresses": "our own addresses",
    "helpdesk/answers.py headers": "part of send, which asks",
    "inbox/correspondence.py mailbox": "which address answers come to",
    "inbox/addressees.py stops": "what people asked for, for the functions that write to them, which ask",
    "inbox/addressees.py known": "for the functions around it, which ask",
    "inbox/addressees.py behind": "whose address it is: their no holds for every writer, their name is shown to those who may see them",
    "collaboration/interactions.py note": "part of logging an activity, which asks",
    "collaboration/interactions.py hand_on": "part of converting a lead and of taking that back, which ask",
    "collaboration/timeline_mail.py talks": "part of reading a timeline, which asks",
    "inbox/mailboxes.py get": "for the services around it, which ask",
    "helpdesk/slas.py sync": "called by the ticket's own verbs, after they asked",
    "helpdesk/ticket_marks.py of": "part of slas.sync: what follows from a ticket that its own verbs wrote",
    "collaboration/following.py hand_on": "part of merging tickets, which asks",
    "collaboration/following.py take_off": "part of taking a merge apart, which asks",
    "collaboration/following.py forget": "part of the nightly purge",
    "collaboration/followers.py tell_news": "the job that reads the log; it asks what each follower may see",
    "collaboration/notifications.py reader": "the rights of who is told, for the functions that ask with them",
    "collaboration/assignments.py tell_new": "the job that reads the log; notify asks what the addressee may see",
    "collaboration/reminders.py remind_now": "the job; notify asks what the addressee may see",
    "collaboration/reminders.py birthdays": "the job; notify asks what the addressee may see",
    "collaboration/reminders.py renewals": "the job; notify asks what the addressee may see",
    "collaboration/reminders.py idle_deals": "the job; notify asks what the addressee may see",
    "collaboration/reminders.py unanswered_leads": "the job; notify asks what the addressee may see",
    "collaboration/feeds.py open_feed": "the door of calendars: a secret address stands for the permission; it reads as its person",
    "collaboration/feeds.py uid_place": "part of the name of an event",
    "collaboration/notifications.py notify": "part of a use case that has something to say; it asks what the addressee may see",
    "collaboration/notifications.py notify_many": "the same for many at once",
    "collaboration/notifications.py notify_managers": "the same for whoever manages an area",
    "marketing/segment_members.py owner_of": "whose eyes evaluate a segment, for the jobs that do",
    "marketing/sending.py anything_waits": "whether the clock must start the job",
    "admin/audit.py seal": "the sealing job",
    "admin/audit.py rewrite": "part of an erasure, which asks",
    "admin/audit.py verify": "operators at the command line, and the audit page behind its permission",
    "admin/custom_fields.py create_index": "part of create, which asks",
    "admin/custom_fields.py drop_index": "part of deactivate, which asks",
    "admin/health.py thorough": "operators at the command line",
    "analytics/attention.py list_filter": "an address of a list, no record",
    "analytics/metric_slots.py union_rows": "runs SELECTs that were made with visible()",
    "analytics/metric_slots.py histogram": "runs SELECTs that were made with visible()",
    "analytics/run_keys.py data_versions": "counters of tables, no record",
    "analytics/reports.py recipient": "the door of reports: a signed link in a message stands for the permission",
    "analytics/reports.py leave": "the door of reports",
    "analytics/shared_pages.py page": "draws what a link opens, as its owner",
    "analytics/shared_runs.py page": "draws what a link opens, as its owner",
    "analytics/sharing.py open_link": "the door of shared pages: a signed link stands for the permission, and gives its owner as the actor",
    "analytics/sharing.py begin_try": "the door of shared pages",
    "analytics/sharing.py note_view": "the door of shared pages",
    "sales/shop_orders.py check_cart": "the worker, as the person who acts for the shop",
    "sales/leads.py status_of": "the id of a lookup",
    "customers/accounts.py stands_above": "part of saving and merging accounts, which ask",
    "collaboration/outward.py chosen": "names of fields, no record",
}
"""Functions that other services share, with the reason why they know no actor."""


def _files():
    for path in sorted(SERVICES.rglob("*.py")):
        where = path.relative_to(SERVICES).as_posix()
        if path.name != "__init__.py" and not path.name.endswith("_rules.py") and not where.startswith(tuple(OPEN)):
            yield path, where


def _public(path):
    return [node for node in source.tree(path).body if isinstance(node, ast.FunctionDef) and not node.name.startswith("_")]


def _parameters(function):
    return [argument.arg for argument in function.args.posonlyargs + function.args.args]


def test_use_cases_take_the_session_and_then_who_acts():
    found = [
        f"{where}:{function.lineno} {function.name}({', '.join(_parameters(function)[:2])})"
        for path, where in _files()
        for function in _public(path)
        if (given := _parameters(function)) and given[0] == "session" and given[1:2] != ["actor"]
        if f"{where} {function.name}" not in HELPERS
    ]
    assert found == [], "a use case is f(session, actor, …); list the file in OPEN with the reason if nobody can be asked"


def test_every_use_case_asks_what_the_actor_may():
    """Directly by require or visible, or by handing the actor to a function that does: of the kernel, the same file, another service."""
    silent = []
    for path, where in _files():
        functions = {node.name: node for node in source.tree(path).body if isinstance(node, ast.FunctionDef)}
        silent += [
            f"{where}:{function.lineno} {function.name}"
            for function in _public(path)
            if _parameters(function)[:2] == ["session", "actor"] and not _asks(function, functions, set())
        ]
    assert [entry for entry in silent if not _excused(entry)] == [], "call require(actor, …) or visible(actor, …)"


def _excused(entry):
    where, name = entry.rsplit(" ", 1)
    return f"{where.split(':')[0]} {name}" in EXCUSED


def _asks(function, functions, seen):
    if function.name in seen:
        return False
    seen = seen | {function.name}
    for node in ast.walk(function):
        called = source.dotted(node) if isinstance(node, ast.Attribute | ast.Name) else ""
        if called.split(".")[-1] in ASKS or called.split(".")[0] in THROUGH or called == "actor.can":
            return True
        if called in functions and called != function.name and _asks(functions[called], functions, seen):
            return True
        if isinstance(node, ast.Call) and _hands_the_actor_on(node, functions):
            return True
    return False


def _hands_the_actor_on(call, functions):
    """A call into another file that gets the actor and answers for it there; logging an event asks nothing."""
    called = source.dotted(call.func)
    known = called in functions or called.startswith(("events.", "fmt."))
    return not known and "actor" in [source.dotted(argument) for argument in call.args[:2]]


def test_every_recorded_event_has_a_sentence():
    """events.record refuses others at run time; here nobody has to run it."""
    found = []
    for path in source.files("crm_core", "worker", "web"):
        for node in ast.walk(source.tree(path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and _looks_like_an_event(node.value):
                try:
                    events.sentence_of(node.value)
                except (KeyError, IndexError):
                    found.append(f"{source.name(path)}:{node.lineno} {node.value}")
    assert found == []


def _looks_like_an_event(text):
    from crm_core.entities import ENTITIES

    owner, dot, verb = text.partition(".")
    return (
        bool(dot)
        and owner in ENTITIES
        and verb.replace("_", "").isalpha()
        and verb.islower()
        and verb.endswith(("ed", "_sent", "_in", "_out", "_up"))
    )


def test_lists_of_exceptions_name_files_that_exist():
    named = [*OPEN, *(entry.split(" ")[0] for entry in (*EXCUSED, *HELPERS))]
    assert [where for where in named if not (SERVICES / where).exists()] == []


def test_texts_are_sorted_as_in_an_address_book():
    """SQLite sorts by code point, PostgreSQL by the database's locale: ``ordering.alphabetical`` sorts alike on both."""
    found = [
        f"{source.name(path)}:{node.lineno} orders by {source.dotted(column)}; take alphabetical(…)"
        for path in source.files("crm_core")
        for node in ast.walk(source.tree(path))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "order_by"
        for column in map(_bare, node.args)
        if source.dotted(column).rpartition(".")[2] in ("name", "title", "subject", "label")
    ]
    assert found == []


def _bare(node: ast.AST) -> ast.AST:
    """A column without ``col(…)``, ``func.lower(…)`` and ``.desc()`` around it."""
    while isinstance(node, ast.Call) and source.dotted(node.func) != "alphabetical":
        node = node.args[0] if node.args else node.func.value if isinstance(node.func, ast.Attribute) else node.func
    return node
