"""Every screen: where it lives, what it is called, who may open it. The only list of pages."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from crm_core.access import Actor
from crm_core.access.permissions import RECORDS
from crm_core.vocabulary import Action

_PAGES = Path(__file__).resolve().parent.parent / "pages"


@dataclass(frozen=True)
class Screen:
    """One screen. ``path``: file below ``pages/``; ``url``: address; ``needs``: permission without which it does not exist; ``hidden``: not in the menu;
    ``any_of``: permissions of which one is enough; ``parent``: address of the screen from which one comes to a hidden one."""

    path: str
    url: str
    title: str
    icon: str
    area: str
    needs: tuple[str, Action] | None = None
    hidden: bool = False
    default: bool = False
    any_of: tuple[tuple[str, Action], ...] = ()
    parent: str = ""

    def allowed(self, actor: Actor) -> bool:
        if self.any_of:
            return any(actor.can(*permission) for permission in self.any_of)
        return self.needs is None or actor.can(*self.needs)

    @property
    def file(self) -> Path:
        return _PAGES / self.path


R, M, I, D = Action.READ, Action.MANAGE, Action.IMPORT, Action.DELETE  # noqa: E741

PAGES: tuple[Screen, ...] = (
    Screen("home/start.py", "start", "Start", "home", "", hidden=True, default=True),
    Screen("home/today.py", "today", "Today", "today", ""),
    Screen(
        "home/inbox.py",
        "inbox",
        "Inbox",
        "all_inbox",
        "",
        any_of=(("ticket", Action.EDIT), ("lead", Action.EDIT), ("mailbox", R)),
    ),
    Screen("collaboration/tasks.py", "tasks", "Tasks", "task_alt", "", ("task", R)),
    Screen("collaboration/task.py", "task", "Task", "task_alt", "", ("task", R), hidden=True, parent="tasks"),
    Screen("collaboration/notifications.py", "notifications", "Notifications", "notifications", "", hidden=True, parent="today"),
    Screen("collaboration/calendar.py", "calendar", "Calendar", "calendar_month", ""),
    Screen(
        "collaboration/booking.py",
        "booking",
        "Booking pages",
        "event_available",
        "",
        ("booking", R),
        hidden=True,
        parent="calendar",
    ),
    Screen("home/overview.py", "overview", "Overview", "dashboard", "", ("analytics", R)),
    Screen("analytics/dashboards.py", "dashboards", "Dashboards", "dashboard_customize", "", ("analytics", R)),
    Screen(
        "analytics/dashboard.py",
        "dashboard",
        "Dashboard",
        "dashboard_customize",
        "",
        ("analytics", R),
        hidden=True,
        parent="dashboards",
    ),
    Screen("analytics/report.py", "report", "Report", "pivot_table_chart", "", ("analytics", R), hidden=True, parent="dashboards"),
    Screen("analytics/links.py", "links", "Links and reports", "share", "", ("analytics", R), hidden=True, parent="dashboards"),
    Screen("home/bin.py", "bin", "Bin", "delete", "", hidden=True, parent="today", any_of=tuple((key, D) for key in RECORDS)),
    Screen("home/profile.py", "profile", "Your account", "manage_accounts", "", hidden=True, parent="today"),
    Screen("sales/deals.py", "deals", "Deals", "handshake", "Sales", ("deal", R)),
    Screen("sales/deal.py", "deal", "Deal", "handshake", "Sales", ("deal", R), hidden=True, parent="deals"),
    Screen("sales/board.py", "pipeline", "Pipeline", "view_kanban", "Sales", ("deal", R)),
    Screen("sales/leads.py", "leads", "Leads", "person_search", "Sales", ("lead", R)),
    Screen("sales/lead.py", "lead", "Lead", "person_search", "Sales", ("lead", R), hidden=True, parent="leads"),
    Screen("sales/calls.py", "calls", "Call lists", "phone_forwarded", "Sales", ("activity", Action.CREATE)),
    Screen(
        "sales/dial.py", "dial", "Calling", "phone_forwarded", "Sales", ("activity", Action.CREATE), hidden=True, parent="calls"
    ),
    Screen("sales/orders.py", "orders", "Orders", "receipt_long", "Sales", ("order", R)),
    Screen("sales/order.py", "order", "Order", "receipt_long", "Sales", ("order", R), hidden=True, parent="orders"),
    Screen("sales/products.py", "products", "Products", "inventory_2", "Sales", ("product", R)),
    Screen("sales/product.py", "product", "Product", "inventory_2", "Sales", ("product", R), hidden=True, parent="products"),
    Screen(
        "sales/categories.py",
        "categories",
        "Product categories",
        "category",
        "Sales",
        ("product", R),
        hidden=True,
        parent="products",
    ),
    Screen("sales/accounts.py", "accounts", "Accounts", "apartment", "Customers", ("account", R)),
    Screen("sales/account.py", "account", "Account", "apartment", "Customers", ("account", R), hidden=True, parent="accounts"),
    Screen("sales/contacts.py", "contacts", "Contacts", "person", "Customers", ("contact", R)),
    Screen("sales/contact.py", "contact", "Contact", "person", "Customers", ("contact", R), hidden=True, parent="contacts"),
    Screen(
        "sales/duplicates.py",
        "duplicates",
        "Duplicates",
        "merge",
        "Customers",
        any_of=(("account", D), ("contact", D), ("lead", D)),
    ),
    Screen("helpdesk/tickets.py", "tickets", "Tickets", "confirmation_number", "Service", ("ticket", R)),
    Screen("helpdesk/tray.py", "tray", "Mail tray", "inbox", "Service", ("mailbox", R), hidden=True, parent="tickets"),
    Screen("helpdesk/macros.py", "macros", "Macros", "bolt", "Service", ("ticket", Action.EDIT), hidden=True, parent="tickets"),
    Screen(
        "helpdesk/ticket.py", "ticket", "Ticket", "confirmation_number", "Service", ("ticket", R), hidden=True, parent="tickets"
    ),
    Screen("helpdesk/articles.py", "articles", "Help articles", "menu_book", "Service", ("article", R)),
    Screen(
        "helpdesk/article.py", "article", "Help article", "menu_book", "Service", ("article", R), hidden=True, parent="articles"
    ),
    Screen("helpdesk/surveys.py", "surveys", "Surveys", "reviews", "Service", ("survey", R)),
    Screen("helpdesk/telephony.py", "telephony", "Telephone", "call", "Service", ("telephony", R)),
    Screen("helpdesk/survey.py", "survey", "Survey", "reviews", "Service", ("survey", R), hidden=True, parent="surveys"),
    Screen("marketing/campaigns.py", "campaigns", "Campaigns", "campaign", "Marketing", ("campaign", R)),
    Screen(
        "marketing/campaign.py", "campaign", "Campaign", "campaign", "Marketing", ("campaign", R), hidden=True, parent="campaigns"
    ),
    Screen(
        "marketing/letter_templates.py",
        "letter-templates",
        "Letter templates",
        "library_books",
        "Marketing",
        ("letter_template", R),
        hidden=True,
        parent="campaigns",
    ),
    Screen(
        "marketing/letter_template.py",
        "letter-template",
        "Letter template",
        "library_books",
        "Marketing",
        ("letter_template", R),
        hidden=True,
        parent="letter-templates",
    ),
    Screen("marketing/promotions.py", "promotions", "Promotions", "local_activity", "Marketing", ("promotion", R)),
    Screen(
        "marketing/promotion.py",
        "promotion",
        "Promotion",
        "local_activity",
        "Marketing",
        ("promotion", R),
        hidden=True,
        parent="promotions",
    ),
    Screen("marketing/consent.py", "consent", "Consent and limits", "mark_email_read", "Marketing", ("campaign", Action.EDIT)),
    Screen("marketing/segments.py", "segments", "Segments", "groups_3", "Marketing", ("segment", R)),
    Screen("marketing/segment.py", "segment", "Segment", "groups_3", "Marketing", ("segment", R), hidden=True, parent="segments"),
    Screen("analytics/segmentation.py", "segmentation", "Segmentation", "bubble_chart", "Analytics", ("analytics", R)),
    Screen("analytics/personas.py", "personas", "Personas", "diversity_3", "Analytics", ("analytics", R)),
    Screen("analytics/basket.py", "basket", "Baskets and offers", "shopping_basket", "Analytics", ("analytics", R)),
    Screen("analytics/forecast.py", "forecast", "Forecast", "trending_up", "Analytics", ("analytics", R)),
    Screen("analytics/outlook.py", "outlook", "Sales outlook", "flag", "Analytics", ("deal", R)),
    Screen("analytics/attribution.py", "attribution", "Attribution", "alt_route", "Analytics", ("campaign", R)),
    Screen("analytics/scoring.py", "scoring", "Scoring", "leaderboard", "Analytics", any_of=(("lead", R), ("deal", R))),
    Screen("analytics/value.py", "value", "Churn and value", "volunteer_activism", "Analytics", ("analytics", R)),
    Screen("analytics/drivers.py", "drivers", "Drivers", "hub", "Analytics", ("analytics", R)),
    Screen(
        "analytics/truth.py", "truth", "What was planted", "science", "Analytics", ("analytics", R), hidden=True, parent="overview"
    ),
    Screen("marketing/automations.py", "automations", "Automations", "bolt", "Marketing", ("automation", R)),
    Screen(
        "marketing/automation.py",
        "automation",
        "Automation",
        "bolt",
        "Marketing",
        ("automation", R),
        hidden=True,
        parent="automations",
    ),
    Screen("marketing/lead_forms.py", "forms", "Lead forms", "dynamic_form", "Marketing", ("lead_form", R)),
    Screen("home/import_data.py", "import", "Import", "upload_file", "Admin", any_of=tuple((key, I) for key in RECORDS)),
    Screen("admin/settings.py", "settings", "Workspace", "settings", "Admin", ("organisation", R)),
    Screen("admin/users.py", "people", "People", "group", "Admin", ("user", M)),
    Screen("admin/roles.py", "roles", "Roles", "shield_person", "Admin", ("user", M)),
    Screen("admin/service_levels.py", "service-levels", "Service levels", "timer", "Admin", ("service_level", R)),
    Screen("admin/mailboxes.py", "mailboxes", "Mailboxes", "mark_email_unread", "Admin", ("mailbox", M)),
    Screen("admin/assignment.py", "assignment", "Assignment", "alt_route", "Admin", ("assignment", R)),
    Screen(
        "collaboration/waiting.py",
        "waiting",
        "Waiting",
        "hourglass_top",
        "",
        hidden=True,
        parent="today",
        any_of=tuple((key, Action.EDIT) for key in ("lead", "deal", "ticket")),
    ),
    Screen("admin/pipelines.py", "pipelines", "Pipelines", "conversion_path", "Admin", ("pipeline", R)),
    Screen("admin/custom_fields.py", "fields", "Fields and lists", "post_add", "Admin", ("custom_field", R)),
    Screen("admin/integrations.py", "integrations", "API and webhooks", "api", "Admin", ("integration", M)),
    Screen("admin/jobs.py", "jobs", "Jobs", "work_history", "Admin", ("job", R)),
    Screen("admin/outbox.py", "outbox", "Outbox", "outbox", "Admin", ("organisation", M)),
    Screen("admin/health.py", "health", "Health", "monitor_heart", "Admin", ("organisation", M)),
    Screen("admin/privacy.py", "privacy", "Privacy", "privacy_tip", "Admin", ("privacy", R)),
    Screen("admin/audit.py", "audit", "Audit", "history", "Admin", ("audit", R)),
)


def screens_for(actor: Actor) -> list[Screen]:
    """The screens that exist for this person."""
    return [screen for screen in PAGES if screen.allowed(actor)]


@lru_cache(maxsize=256)
def _page(screen: Screen) -> StreamlitPage:
    return st.Page(
        screen.file,
        title=screen.title,
        icon=f":material/{screen.icon}:",
        url_path=screen.url,
        default=screen.default,
        visibility="hidden" if screen.hidden else "visible",
    )


def sections_for(actor: Actor) -> dict[str, list[StreamlitPage]]:
    """The menu: area → pages. The bare address belongs to the start screen, so that every other one keeps its own."""
    sections: dict[str, list[StreamlitPage]] = {}
    for screen in screens_for(actor):
        sections.setdefault(screen.area, []).append(_page(screen))
    return sections


def go(url: str, **params: Any) -> None:
    """Open a screen of this session by its address; parameters land in the URL. Does nothing for a screen the person does not have."""
    from ui.session import current_actor

    page = page_of(current_actor(), url)
    if page is not None:
        st.switch_page(page, query_params={name: str(value) for name, value in params.items() if value not in (None, "")})


def screen_of(url: str) -> Screen | None:
    """The screen at an address."""
    return next((screen for screen in PAGES if screen.url == url), None)


def page_of(actor: Actor, url: str) -> StreamlitPage | None:
    """The page object at an address, for ``st.page_link``; None when the person does not have it."""
    screen = screen_of(url)
    return _page(screen) if screen is not None and screen.allowed(actor) else None
