"""Every enumeration of the business with its label for people. Read this file first."""

from enum import StrEnum


class Choice(StrEnum):
    """A stored value with a label: ``StageKind.WON.label == "Won"``."""

    label: str

    def __new__(cls, value: str, label: str = "") -> "Choice":
        member = str.__new__(cls, value)
        member._value_ = value
        member.label = label
        return member

    @classmethod
    def options(cls) -> dict[str, str]:
        """Stored value → label, in the order of the definition."""
        return {member.value: member.label for member in cls}


class ReadWay(Choice):
    """How personal data was looked at."""

    PAGE = "page", "Opened the record"
    EXPORT = "export", "Exported"
    API = "api", "Read through the API"


class Scope(Choice):
    """How far a permission reaches."""

    OWN = "own", "Own records"
    TEAM = "team", "Own team"
    SUBTREE = "subtree", "Own and everyone below"
    ALL = "all", "All records"


class Action(Choice):
    """What a permission allows to do with an entity."""

    READ = "read", "See"
    CREATE = "create", "Create"
    EDIT = "edit", "Edit"
    DELETE = "delete", "Delete"
    EXPORT = "export", "Export"
    IMPORT = "import", "Import"
    MANAGE = "manage", "Manage"


class FieldLevel(Choice):
    """How much of a field a role has, from everything to nothing."""

    EDIT = "edit", "Edit"
    READ = "read", "Read only"
    MASKED = "masked", "Masked"
    HIDDEN = "hidden", "Hidden"


class FieldKind(Choice):
    """The type of a field, the same for built-in and custom ones."""

    TEXT = "text", "Text"
    LONG_TEXT = "long_text", "Long text"
    EMAIL = "email", "E-mail"
    PHONE = "phone", "Phone"
    URL = "url", "Web address"
    INTEGER = "integer", "Whole number"
    DECIMAL = "decimal", "Number"
    MONEY = "money", "Money"
    PERCENT = "percent", "Percentage"
    BOOLEAN = "boolean", "Yes or no"
    DATE = "date", "Date"
    DATETIME = "datetime", "Date and time"
    CHOICE = "choice", "One of a list"
    PICK = "pick", "One of an editable list"
    REFERENCE = "reference", "Link to a record"


class StageKind(Choice):
    """What a pipeline stage means, whatever its name."""

    OPEN = "open", "Open"
    WON = "won", "Won"
    LOST = "lost", "Lost"


class GateStrictness(Choice):
    """What a stage does with a deal that lacks something it asks for."""

    REFUSE = "refuse", "It stays where it is"
    WARN = "warn", "Ask whether to go on"


class LeadKind(Choice):
    """What a lead status means, whatever its name."""

    OPEN = "open", "New"
    WORKING = "working", "Working"
    QUALIFIED = "qualified", "Qualified"
    UNQUALIFIED = "unqualified", "Unqualified"
    RECYCLED = "recycled", "Recycled"
    CONVERTED = "converted", "Converted"


class AccountKind(Choice):
    PROSPECT = "prospect", "Prospect"
    CUSTOMER = "customer", "Customer"
    FORMER = "former", "Former customer"
    PARTNER = "partner", "Partner"
    VENDOR = "vendor", "Vendor"


class ForecastCategory(Choice):
    OMITTED = "omitted", "Omitted"
    PIPELINE = "pipeline", "Pipeline"
    BEST_CASE = "best_case", "Best case"
    COMMIT = "commit", "Commit"
    CLOSED = "closed", "Closed"


class CommitteeRole(Choice):
    """Role of a person in a deal's buying committee."""

    DECISION_MAKER = "decision_maker", "Decision maker"
    ECONOMIC_BUYER = "economic_buyer", "Economic buyer"
    CHAMPION = "champion", "Champion"
    INFLUENCER = "influencer", "Influencer"
    USER = "user", "User"
    TECHNICAL = "technical", "Technical evaluator"
    LEGAL = "legal", "Legal or procurement"
    BLOCKER = "blocker", "Blocker"


class Stance(Choice):
    SUPPORTER = "supporter", "Supporter"
    NEUTRAL = "neutral", "Neutral"
    OPPONENT = "opponent", "Opponent"


class DuplicateReason(Choice):
    """Why a record is a new one although something like it is here."""

    NAMESAKE = "namesake", "Another one with a similar name"
    SHARED = "shared", "They share an address, a number or a web site"
    BRANCH = "branch", "A branch, a subsidiary or somebody of the same household"
    OUTDATED = "outdated", "The other one is out of date"
    OTHER = "other", "Something else"


class Billing(Choice):
    """How often a line of a deal or an order is charged."""

    ONE_TIME = "one_time", "Once"
    MONTHLY = "monthly", "Every month"
    YEARLY = "yearly", "Every year"

    @property
    def unit(self) -> str:
        """What one period is, "" for a line that is charged once."""
        return {"monthly": "month", "yearly": "year"}.get(self.value, "")

    @property
    def a_year(self) -> int:
        """Periods in a year; 0 for a line that is charged once."""
        return {"monthly": 12, "yearly": 1}.get(self.value, 0)


class OrderStatus(Choice):
    DRAFT = "draft", "Draft"
    PLACED = "placed", "Placed"
    FULFILLED = "fulfilled", "Fulfilled"
    CANCELLED = "cancelled", "Cancelled"


SOLD = (OrderStatus.PLACED, OrderStatus.FULFILLED)
"""Orders that count as sold."""


class TicketKind(Choice):
    NEW = "new", "New"
    OPEN = "open", "Open"
    WAITING_CUSTOMER = "waiting_customer", "Waiting for customer"
    WAITING_THIRD = "waiting_third", "Waiting for third party"
    SOLVED = "solved", "Solved"
    CLOSED = "closed", "Closed"


DONE = (TicketKind.SOLVED, TicketKind.CLOSED)
"""Tickets on which nobody works any more."""


class ArticleState(Choice):
    """Who may read a help article."""

    DRAFT = "draft", "Draft"
    PUBLISHED = "published", "Published"
    ARCHIVED = "archived", "Archived"


class HelpLanguage(Choice):
    """Languages in which help articles are written and read aloud."""

    EN = "en", "English"
    DE = "de", "German"
    FR = "fr", "French"
    ES = "es", "Spanish"
    IT = "it", "Italian"
    PT = "pt", "Portuguese"
    NL = "nl", "Dutch"
    DA = "da", "Danish"
    SV = "sv", "Swedish"
    NO = "no", "Norwegian"
    FI = "fi", "Finnish"
    PL = "pl", "Polish"
    CS = "cs", "Czech"
    EL = "el", "Greek"
    TR = "tr", "Turkish"
    UK = "uk", "Ukrainian"
    RU = "ru", "Russian"
    AR = "ar", "Arabic"
    HI = "hi", "Hindi"
    JA = "ja", "Japanese"
    KO = "ko", "Korean"
    ZH = "zh", "Chinese"


class SlaTarget(Choice):
    """What a service level promises about a ticket."""

    FIRST = "first", "First response"
    NEXT = "next", "Next response"
    RESOLVE = "resolve", "Resolution"


class SlaState(Choice):
    """Where a promise stands. Late is a fact of its own: a promise that was broken and then kept stays broken."""

    RUNNING = "running", "Running"
    PAUSED = "paused", "Paused"
    BREACHED = "breached", "Overdue"
    MET = "met", "Met"
    MET_LATE = "met_late", "Met late"
    CANCELLED = "cancelled", "No longer needed"


class PromiseOutcome(Choice):
    """How a promise about a ticket ended. One that was broken and then kept stays late."""

    KEPT = "kept", "Kept"
    LATE = "late", "Late"


class SubmissionState(Choice):
    """What became of a filled-in lead form."""

    LEAD = "lead", "New lead"
    KNOWN = "known", "Known lead"
    TWICE = "twice", "Sent twice"
    SPAM = "spam", "Spam"
    FAILED = "failed", "Needs a look"


class GuestState(Choice):
    """What somebody who was invited to a meeting said."""

    INVITED = "invited", "No answer yet"
    ACCEPTED = "accepted", "Coming"
    TENTATIVE = "tentative", "Perhaps"
    DECLINED = "declined", "Not coming"


class BookingState(Choice):
    """What became of a meeting that a visitor booked."""

    BOOKED = "booked", "Booked"
    CANCELLED = "cancelled", "Cancelled"
    ATTENDED = "attended", "Came"
    NO_SHOW = "no_show", "Did not come"


class BookingPlace(Choice):
    """Where a booked meeting happens."""

    PHONE = "phone", "We call you"
    VIDEO = "video", "Video call"
    VISIT = "visit", "At a place"


class Level(Choice):
    """Impact or urgency of a ticket."""

    LOW = "low", "Low"
    MEDIUM = "medium", "Medium"
    HIGH = "high", "High"


class Priority(Choice):
    LOW = "low", "Low"
    NORMAL = "normal", "Normal"
    HIGH = "high", "High"
    URGENT = "urgent", "Urgent"


class MessageDirection(Choice):
    INBOUND = "inbound", "From the customer"
    OUTBOUND = "outbound", "To the customer"
    INTERNAL = "internal", "Internal note"


class MailSource(Choice):
    """How the mail of a mailbox comes in, besides its web address."""

    IMAP = "imap", "Fetched by IMAP"
    WEB = "web", "Sent to its web address"
    FILES = "files", "Read from a folder"


class MailTls(Choice):
    """How a connection to a mail server is protected."""

    TLS = "tls", "TLS from the start"
    STARTTLS = "starttls", "STARTTLS"
    NONE = "none", "None (this machine only)"


class MailBecomes(Choice):
    """What a new conversation of a mailbox becomes."""

    TICKET = "ticket", "A ticket"
    TIMELINE = "timeline", "An entry on the customer"
    FILED = "filed", "Filed mail of colleagues"


class UnknownSender(Choice):
    """What happens to mail of somebody who is no contact yet."""

    CONTACT = "contact", "Make them a contact"
    PLAIN = "plain", "Take it without a contact"
    TRAY = "tray", "Keep it in the tray"


class InboundState(Choice):
    """What became of a message that came in."""

    TICKET = "ticket", "New ticket"
    THREAD = "thread", "Added to a ticket"
    TIMELINE = "timeline", "On the timeline"
    REPLY = "reply", "Answer to a campaign"
    FILED = "filed", "Filed"
    TRAY = "tray", "In the tray"
    AUTO = "auto", "Automatic answer"
    BOUNCE = "bounce", "Bounce"
    OWN = "own", "Own mail, left out"
    DISCARDED = "discarded", "Discarded"


class InboundChannel(Choice):
    """By which door somebody came to us."""

    EMAIL = "email", "E-mail"
    FORM = "form", "Web form"
    PHONE = "phone", "Phone"
    CHAT = "chat", "Chat"
    SOCIAL = "social", "Social media"
    PERSON = "person", "In person"
    LETTER = "letter", "Letter"
    SURVEY = "survey", "Survey"


class CampaignStatus(Choice):
    DRAFT = "draft", "Draft"
    SCHEDULED = "scheduled", "Scheduled"
    RUNNING = "running", "Running"
    PAUSED = "paused", "Paused"
    COMPLETED = "completed", "Completed"


class PromotionState(Choice):
    DRAFT = "draft", "Draft"
    RUNNING = "running", "Running"
    PAUSED = "paused", "Paused"
    ENDED = "ended", "Ended"


class PromotionEffect(Choice):
    """What a code takes off an order."""

    PERCENT = "percent", "Percent off"
    AMOUNT = "amount", "Amount off"


class CodeKind(Choice):
    """One code that everybody types, or one for each person that works once."""

    SHARED = "shared", "One code for everybody"
    SINGLE = "single", "A code for each, used once"


class EndReason(Choice):
    """Why a promotion takes no more orders."""

    HAND = "hand", "ended by hand"
    DATE = "date", "its last day has passed"
    BUDGET = "budget", "its budget is spent"
    COUNT = "count", "all its redemptions are used up"


class ReleaseReason(Choice):
    """Why an order gave its code back."""

    TAKEN_OFF = "taken_off", "taken off the order"
    CANCELLED = "cancelled", "the order was cancelled"
    DELETED = "deleted", "the order was deleted"
    MINIMUM = "minimum", "the order no longer reaches the minimum"
    PRODUCTS = "products", "nothing on the order is part of the promotion any more"
    SHOP = "shop", "the shop took it off"
    NOT_AGAIN = "not_again", "the promotion could not take it again"


class Channel(Choice):
    """Where a touch happens."""

    EMAIL = "email", "E-mail"
    PHONE = "phone", "Phone"
    PAID_SEARCH = "paid_search", "Paid search"
    ORGANIC = "organic", "Organic search"
    SOCIAL = "social", "Social media"
    DISPLAY = "display", "Display ads"
    EVENT = "event", "Event"
    DIRECT_MAIL = "direct_mail", "Direct mail"
    REFERRAL = "referral", "Referral"
    PARTNER = "partner", "Partner"
    SMS = "sms", "Text message"
    WEB = "web", "Website"
    DIRECT = "direct", "Direct traffic"


class MemberStatus(Choice):
    """How far a campaign member has come."""

    PLANNED = "planned", "Planned"
    SENT = "sent", "Sent"
    OPENED = "opened", "Opened"
    CLICKED = "clicked", "Clicked"
    RESPONDED = "responded", "Responded"
    CONVERTED = "converted", "Converted"
    DECLINED = "declined", "Declined"


class SegmentOf(Choice):
    """Of what a segment is made."""

    CONTACT = "contact", "Contacts"
    ACCOUNT = "account", "Accounts"
    LEAD = "lead", "Leads"


class SegmentKind(Choice):
    """Whether a segment follows its rule, or stays as it was put together."""

    LIVE = "live", "Live"
    STATIC = "static", "Static"


class MembershipReason(Choice):
    """Why a record came into a segment."""

    FIRST = "first", "When the segment was made"
    RULE = "rule", "A change made it match"
    SWEEP = "sweep", "Time passed"
    RULE_CHANGED = "rule_changed", "The rule was changed"
    HAND = "hand", "Added by hand"
    LIST = "list", "Added from a list"
    ANALYSIS = "analysis", "Found by an analysis"


class ActivityKind(Choice):
    CALL = "call", "Call"
    EMAIL = "email", "E-mail"
    MEETING = "meeting", "Meeting"
    NOTE = "note", "Note"


class CallOutcome(Choice):
    REACHED = "reached", "Reached"
    NO_ANSWER = "no_answer", "No answer"
    BUSY = "busy", "Busy"
    VOICEMAIL = "voicemail", "Left a voicemail"
    WRONG_NUMBER = "wrong_number", "Wrong number"
    CALL_BACK = "call_back", "Asked to call back"
    PRICE = "price", "Asked for a price"
    NOT_INTERESTED = "not_interested", "Not interested"
    DO_NOT_CALL = "do_not_call", "Wants no calls"


class DialReach(Choice):
    """Who calls the people of a list."""

    PRIVATE = "private", "Only me"
    TEAM = "team", "My team"
    SHARED = "shared", "Everyone who calls"


class DialSource(Choice):
    """Where the people of a list to call come from."""

    SEGMENT = "segment", "Segment"
    VIEW = "view", "Saved view"
    CAMPAIGN = "campaign", "Campaign"
    FILTER = "filter", "Filtered list"


class DialState(Choice):
    """How far somebody on a list to call has come."""

    WAITING = "waiting", "To call"
    DONE = "done", "Done"
    LEFT_OUT = "left_out", "Left out"


class DialWait(Choice):
    """Why somebody on a list is not called at once."""

    RETRY = "retry", "Not reached: again later"
    CALLBACK = "callback", "Asked to be called back"
    HOURS = "hours", "Outside their hours"
    CALLED = "called", "Called already today"
    LATER = "later", "Put off"


class TaskStatus(Choice):
    OPEN = "open", "Open"
    DONE = "done", "Done"
    CANCELLED = "cancelled", "Cancelled"


class PointKind(Choice):
    """Kind of a contact point."""

    EMAIL = "email", "E-mail"
    PHONE = "phone", "Phone"


class PreferredChannel(Choice):
    ANY = "any", "Any"
    EMAIL = "email", "E-mail"
    PHONE = "phone", "Phone"
    MEETING = "meeting", "In person"
    NONE = "none", "Do not contact"


class Way(Choice):
    """How a person is about to be reached from the screen."""

    CALL = "call", "Call"
    EMAIL = "email", "E-mail"


class Verdict(Choice):
    """Whether a person's own wishes allow to reach them now."""

    YES = "yes", "Yes"
    THINK = "think", "Think first"
    NO = "no", "No"


class Via(Choice):
    """The door through which a change came."""

    SCREEN = "screen", "the app"
    IMPORT = "import", "an import"
    API = "api", "the API"
    WORKER = "worker", "an automation"
    CLI = "cli", "the command line"
    DEMO = "demo", "the demo"
    FORM = "form", "a web form"
    MAIL = "mail", "an e-mail"
    SURVEY = "survey", "a survey"
    PHONE = "phone", "a phone call"


class Visibility(Choice):
    PRIVATE = "private", "Only me"
    SHARED = "shared", "Everyone"


class ImportState(Choice):
    UPLOADED = "uploaded", "Uploaded"
    MAPPED = "mapped", "Columns matched"
    CHECKING = "checking", "Dry run going"
    CHECKED = "checked", "Dry run done"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    DONE_WITH_ERRORS = "done_with_errors", "Done, some rows rejected"
    FAILED = "failed", "Stopped"
    REVERTING = "reverting", "Being undone"
    REVERTED = "reverted", "Undone"


class RowOutcome(Choice):
    CREATED = "created", "Created"
    UPDATED = "updated", "Updated"
    UNCHANGED = "unchanged", "Unchanged"
    REJECTED = "rejected", "Rejected"


class LinkPurpose(Choice):
    INVITE = "invite", "Invitation"
    RESET = "reset", "Password reset"


class PersonState(Choice):
    """Whether a person can sign in."""

    ACTIVE = "active", "Active"
    INVITED = "invited", "Invited"
    DEACTIVATED = "deactivated", "Deactivated"


class SigninMethod(Choice):
    LOCAL = "local", "Password"
    OIDC = "oidc", "Single sign-on"
    DEMO = "demo", "Demo door"


class HandoverState(Choice):
    """State of a hand-over of an account from one team to another."""

    PENDING = "pending", "Waiting for acceptance"
    ACCEPTED = "accepted", "Accepted"
    DECLINED = "declined", "Declined"
    WITHDRAWN = "withdrawn", "Withdrawn"


class HandoverEdge(Choice):
    """Between which parts of the house a customer is handed over."""

    SALES_SERVICE = "sales_service", "Sales to service"
    SALES_ONBOARDING = "sales_onboarding", "Sales to onboarding"
    ONBOARDING_SERVICE = "onboarding_service", "Onboarding to service"
    COLLEAGUES = "colleagues", "To a colleague"


class HandoverCheck(Choice):
    """What an item of a hand-over's checklist asks for; all but the first are looked up in the records."""

    MANUAL = "manual", "Ticked by hand"
    GOALS = "goals", "Goals of a contact are written down"
    PREFERENCES = "preferences", "Preferences of a contact are written down"


class PeriodPreset(Choice):
    """The stretch of time that key figures are about."""

    DAYS_30 = "30d", "30D"
    DAYS_90 = "90d", "90D"
    MONTHS_12 = "12m", "12M"
    QUARTER = "quarter", "This quarter"
    YEAR = "year", "This year"
    ALL = "all", "All"
    CUSTOM = "custom", "Custom"


class Against(Choice):
    """What a period is compared with."""

    PREVIOUS = "previous", "Previous period"
    LAST_YEAR = "last_year", "Same period last year"
    NONE = "none", "No comparison"


class MetricUnit(Choice):
    """How the value of a key figure is to be read."""

    MONEY = "money", "Money in minor units"
    COUNT = "count", "Number of records"
    SHARE = "share", "Share between 0 and 1"
    DAYS = "days", "Days"
    SECONDS = "seconds", "Seconds"
    RETURN = "return", "Return on cost (1 is 100%)"


class MailState(Choice):
    """How far a message has come. From ``HANDED`` on it is never sent again by itself: the receiving server may have it."""

    PENDING = "pending", "Waiting"
    SENDING = "sending", "Being sent"
    HANDED = "handed", "Handed over, not confirmed"
    SENT = "sent", "Sent"
    FAILED = "failed", "Failed"
    BOUNCED = "bounced", "Bounced"
    HELD = "held", "Held back"
    CANCELLED = "cancelled", "Not sent"


class MailWay(Choice):
    """How a person wants to hear of something by e-mail."""

    OFF = "off", "No e-mail"
    NOW = "now", "At once"
    DAILY = "daily", "Once a day"
    WEEKLY = "weekly", "Once a week"


class Purpose(Choice):
    """What a person is contacted for. Consent is given for each by itself."""

    MARKETING = "marketing", "Offers and news"
    EVENTS = "events", "Invitations to events"
    RESEARCH = "research", "Surveys"


class ContactWay(Choice):
    """A way to reach a person, as far as consent is concerned."""

    EMAIL = "email", "E-mail"
    PHONE = "phone", "Phone"
    POST = "post", "Post"
    ADS = "ads", "Ads on other sites"


class ConsentStatus(Choice):
    GRANTED = "granted", "Agreed"
    WITHDRAWN = "withdrawn", "Declined"


class LegalBasis(Choice):
    """Why we may write to or call somebody, as the law asks."""

    CONSENT = "consent", "Consent"
    LEGITIMATE_INTEREST = "legitimate_interest", "Legitimate interest"
    CONTRACT = "contract", "Contract"
    LEGAL_OBLIGATION = "legal_obligation", "Legal obligation"

    @property
    def opens(self) -> bool:
        """Whether offers and news may rest on it: a contract or a law only carries what it asks for itself."""
        return self in (LegalBasis.CONSENT, LegalBasis.LEGITIMATE_INTEREST)


class SuppressionReason(Choice):
    UNSUBSCRIBED = "unsubscribed", "Unsubscribed"
    BOUNCED = "bounced", "Address does not exist"
    COMPLAINED = "complained", "Complained"
    MANUAL = "manual", "Blocked by hand"
    ERASED = "erased", "Erased on request"


class PrivacyKind(Choice):
    """What a person asked for."""

    REPORT = "report", "A copy of their data"
    ERASURE = "erasure", "Erasure"


class PairState(Choice):
    """What was decided about two records that look the same."""

    OPEN = "open", "To decide"
    DIFFERENT = "different", "Not the same"


class PrivacyState(Choice):
    """How far a person's request has come."""

    OPEN = "open", "To do"
    RUNNING = "running", "Under way"
    DONE = "done", "Done"
    DECLINED = "declined", "Declined"


class LetterUse(Choice):
    """What a kept letter is for."""

    MARKETING = "marketing", "Campaigns and news"
    SALES = "sales", "One-to-one mail"
    SERVICE = "service", "Answers to tickets"


class Outlet(Choice):
    """How a campaign reaches its people."""

    EMAIL = "email", "E-mail"
    CALL_LIST = "call_list", "Call list"
    MAIL_MERGE = "mail_merge", "Letters (mail merge file)"
    AD_AUDIENCE = "ad_audience", "Ad audience (hashed file)"
    EVENT = "event", "Event (guest list)"


class PlanState(Choice):
    """Where the sending of a campaign stands."""

    DRAFT = "draft", "Being planned"
    SCHEDULED = "scheduled", "Scheduled"
    SENDING = "sending", "Going out"
    PAUSED = "paused", "Paused"
    STOPPED = "stopped", "Stopped"
    DONE = "done", "All out"


class RecipientStep(Choice):
    """What became of a person after a campaign was launched."""

    WAITING = "waiting", "Waiting"
    QUEUED = "queued", "Handed to the outbox"
    SKIPPED = "skipped", "Left out"
    LISTED = "listed", "On the list"
    HOLDOUT = "holdout", "Hold-out"


class Gate(Choice):
    """Why somebody in the audience is not contacted, in the order in which it is asked."""

    EXCLUDED = "excluded", "In an excluded segment"
    CONVERTED = "converted", "Lead that is a contact by now"
    NO_ADDRESS = "no_address", "No address or number"
    OBJECTED = "objected", "Asked not to be contacted this way"
    BAD_ADDRESS = "bad_address", "Address opted out or invalid"
    NO_CONSENT = "no_consent", "No consent for this purpose"
    SUPPRESSED = "suppressed", "Unsubscribed, bounced or blocked"
    OVER_CAP = "over_cap", "Contacted often enough lately"
    SAME_ADDRESS = "same_address", "Same address as somebody else"
    UNREACHED = "unreached", "Reached by none of the channels"


class RunState(Choice):
    """Where an analysis stands."""

    QUEUED = "queued", "Waiting"
    RUNNING = "running", "Running"
    DONE = "done", "Done"
    REFUSED = "refused", "Refused"
    FAILED = "failed", "Failed"


class Reliance(Choice):
    """How far one may rely on what an analysis found."""

    YES = "yes", "Reliable"
    PARTLY = "partly", "With care"
    NO = "no", "Not to be relied on"


class TileKind(Choice):
    """What a tile of a dashboard is made of."""

    FIGURE = "figure", "Key figure"
    PIVOT = "pivot", "Report"
    TEXT = "text", "Text"


class TileChart(Choice):
    """How a tile is drawn."""

    NUMBER = "number", "Number"
    BARS = "bars", "Bars"
    LINE = "line", "Line"
    DOTS = "dots", "Dots with intervals"
    TABLE = "table", "Table"
    HEAT = "heat", "Coloured table"
    STACKED = "stacked", "Stacked bars"


class Grain(Choice):
    """How days are grouped in a report."""

    DAY = "day", "Day"
    WEEK = "week", "Week"
    MONTH = "month", "Month"
    QUARTER = "quarter", "Quarter"
    YEAR = "year", "Year"


class Measure(Choice):
    """What a report computes in each of its cells."""

    COUNT = "count", "Number of records"
    SUM = "sum", "Sum"
    AVERAGE = "avg", "Average"
    LOWEST = "min", "Lowest"
    HIGHEST = "max", "Highest"


class ShownTo(Choice):
    """Who finds a dashboard in the list."""

    PRIVATE = "private", "Only me"
    ROLE = "role", "One role"
    SHARED = "shared", "Everyone"


class ShareKind(Choice):
    """What a share link shows."""

    DASHBOARD = "dashboard", "Dashboard"
    RUN = "run", "Analysis"


class ReportEvery(Choice):
    """How often a report is mailed."""

    DAY = "day", "Every day"
    WEEK = "week", "Every week"
    MONTH = "month", "Every month"


class Recovery(Choice):
    """What became of something that was planted in the demo company."""

    FOUND = "found", "Found"
    SILENT = "silent", "Silent, as it should be"
    MISSED = "missed", "Missed"
    FALSE_ALARM = "false_alarm", "False alarm"
    UNSURE = "unsure", "Too little data to say"
    OPEN = "open", "Not run yet"


class HookState(Choice):
    """What became of a message to another program."""

    WAITING = "waiting", "Waiting"
    SENDING = "sending", "Being sent"
    DELIVERED = "delivered", "Delivered"
    FAILED = "failed", "Failed"
    SKIPPED = "skipped", "Not sent"


class ShopKind(Choice):
    """The format in which a shop tells of its orders."""

    SHOPIFY = "shopify", "Shopify"
    WOOCOMMERCE = "woocommerce", "WooCommerce"


class ShopState(Choice):
    """What became of a message from a shop."""

    WAITING = "waiting", "Waiting"
    DONE = "done", "Taken in"
    OLDER = "older", "Older than what is known"
    IGNORED = "ignored", "Nothing to do"
    FAILED = "failed", "Needs a look"


class RouteMethod(Choice):
    """How an assignment rule chooses among the people who are free."""

    TURNS = "turns", "In turn"
    WEIGHTED = "weighted", "In turn, by weight"
    LEAST = "least", "Fewest open"
    TERRITORY = "territory", "By territory"
    CAPABLE = "capable", "Most capable"


class RouteOutcome(Choice):
    """What came of an assignment."""

    GIVEN = "given", "Given"
    WAITS = "waits", "Waits in a queue"
    NO_RULE = "no_rule", "No rule fits"
    STAYS = "stays", "Stays where it is"
    TAKEN = "taken", "Taken from the queue"


class LeadPointKind(Choice):
    """What a lead gets points for."""

    FIT = "fit", "Fit"
    BEHAVIOUR = "behaviour", "Behaviour"


class SurveyKind(Choice):
    """What a survey measures; each has the scale that is usual for it."""

    CSAT = "csat", "Satisfaction (CSAT)"
    NPS = "nps", "Recommendation (NPS)"
    CES = "ces", "Effort (CES)"


class QuestionKind(Choice):
    """How a further question of a survey is answered."""

    SCALE_5 = "scale_5", "Scale 1 to 5"
    SCALE_10 = "scale_10", "Scale 0 to 10"
    YES_NO = "yes_no", "Yes or no"
    ONE = "one", "One of several"
    MANY = "many", "Any of several"
    TEXT = "text", "In their own words"


class SurveyTrigger(Choice):
    """What makes a survey go out."""

    TICKET_SOLVED = "ticket_solved", "After a ticket is solved"
    DEAL_WON = "deal_won", "After a deal is won"
    ORDER_FULFILLED = "order_fulfilled", "After an order, once it is fulfilled"
    QUARTERLY = "quarterly", "Every quarter, to a group of contacts"
    MANUAL = "manual", "Only when somebody sends it"


class SurveyWay(Choice):
    """How an answer came."""

    MAIL = "mail", "Mail"
    DEMO = "demo", "Demo"


class NodeKind(Choice):
    """What a step of a telephone menu does."""

    MENU = "menu", "Let the caller choose"
    HOURS = "hours", "Are we open?"
    SAY = "say", "Say something"
    ARTICLE = "article", "Read a help article"
    QUEUE = "queue", "Put through to people"
    CALLBACK = "callback", "Ask for a call back"
    VOICEMAIL = "voicemail", "Take a message"
    HANGUP = "hangup", "Hang up"


class CallEnd(Choice):
    """What became of a call."""

    QUEUED = "queued", "Put through"
    CALLBACK = "callback", "Wants a call back"
    VOICEMAIL = "voicemail", "Left a message"
    INFORMED = "informed", "Heard what they needed"
    ABANDONED = "abandoned", "Hung up in the menu"


class HaltKind(Choice):
    """What can be stopped for the whole workspace at once."""

    AUTOMATIONS = "automations", "All automations"
    MAIL = "mail", "All outgoing mail"


class AutomationState(Choice):
    DRAFT = "draft", "Draft"
    ACTIVE = "active", "Active"
    PAUSED = "paused", "Paused"


class TriggerKind(Choice):
    """What starts an automation."""

    EVENT = "event", "Something happens"
    CHANGED = "changed", "A field changes"
    DATE = "date", "A date comes near"
    SCHEDULE = "schedule", "By the clock, for all records that match"
    MANUAL = "manual", "Somebody starts it"


class Reentry(Choice):
    """Whether an automation takes up the same record again."""

    ONCE = "once", "Once in a lifetime"
    IDLE = "idle", "Again when its last run has ended"
    ALWAYS = "always", "Every time"


class FlowState(Choice):
    """Where one run of an automation stands."""

    RUNNING = "running", "Running"
    WAITING = "waiting", "Waiting"
    DONE = "done", "Done"
    STOPPED = "stopped", "Stopped"
    FAILED = "failed", "Failed"
    SKIPPED = "skipped", "Skipped"


class StepOutcome(Choice):
    DONE = "done", "Done"
    SKIPPED = "skipped", "Left out"
    FAILED = "failed", "Failed"
