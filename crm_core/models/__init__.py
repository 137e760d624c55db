"""All tables. Importing this module registers every one of them."""

from crm_core.models.analysis import AnalysisMark, AnalysisRun, AnalysisTable, ProductSuggestion
from crm_core.models.articles import Article, ArticleProduct, ArticleUse, ArticleVote, HelpCentre
from crm_core.models.automation import Automation, AutomationInbox, AutomationRun, AutomationStep, AutomationVersion
from crm_core.models.base import Base, Customisable, Record, keep_sorted, thin_out
from crm_core.models.booking import Booking, BookingPage, MeetingGuest
from crm_core.models.capture import FormSubmission, LeadForm, LeadSource
from crm_core.models.collaboration import Activity, Attachment, Follow, Pin, Task
from crm_core.models.customers import (
    Account,
    AccountPoint,
    Contact,
    ContactPoint,
    Handover,
    HandoverChecklist,
    HandoverItem,
    MatchKey,
)
from crm_core.models.dashboards import (
    Dashboard,
    DashboardChange,
    DashboardNote,
    DashboardTile,
    HomePage,
    ReportRecipient,
    ReportSchedule,
    ShareLink,
    ShareView,
)
from crm_core.models.dialling import DialAttempt, DialClaim, DialEntry, DialList
from crm_core.models.feedback import Survey, SurveyAnswer, SurveyInvitation, SurveyReply, SurveyRevision
from crm_core.models.forecasting import PipelineSnapshot, PipelineSnapshotDay, Quota
from crm_core.models.helpdesk import Macro, Ticket, TicketMerge, TicketMessage
from crm_core.models.inbox import InboundMail, InboxDone, Interaction, Mailbox
from crm_core.models.integration import ApiCall, ApiKey, ApiReplay, Shop, ShopDelivery, ShopLink, Webhook, WebhookDelivery
from crm_core.models.mail import MailDelivery
from crm_core.models.marketing import Campaign, CampaignChannel, CampaignMember, Touchpoint
from crm_core.models.merges import DuplicatePair, RecordMerge
from crm_core.models.notifications import Notification, UserPreference
from crm_core.models.organisation import (
    AuthSession,
    OneTimeLink,
    Organisation,
    Role,
    RoleFieldMask,
    RolePermission,
    SigninAttempt,
    Team,
    User,
    UserClosure,
    UserRole,
)
from crm_core.models.outreach import (
    CampaignPlan,
    CampaignVariant,
    Consent,
    LetterTemplate,
    LetterTemplateVersion,
    OutreachRules,
    SigningKey,
    Suppression,
    TrackedLink,
)
from crm_core.models.platform import (
    AuditPolicy,
    AuditSeal,
    BackupRun,
    BulkOperation,
    CustomField,
    DealDaily,
    Event,
    Halt,
    ImportLink,
    ImportMapping,
    ImportRow,
    ImportRun,
    JobRun,
    OrderDaily,
    PersonalRead,
    PickOption,
    ProductDaily,
    SaleDaily,
    SavedView,
    SearchDocument,
    SubmitKey,
    SummaryDirty,
    TableVersion,
    TicketDaily,
    ViewDefault,
    ViewPin,
    ViewTeam,
    WorkerHeartbeat,
)
from crm_core.models.privacy import ErasedMark, PrivacyRequest
from crm_core.models.promotions import Promotion, PromotionCode, Redemption
from crm_core.models.routing import (
    Absence,
    LeadPoints,
    LeadWatch,
    PointRule,
    QueueItem,
    RoutingDecision,
    RoutingRule,
    RoutingSetting,
    RoutingTurn,
    SpeedTarget,
    WorkProfile,
    WorkQueue,
)
from crm_core.models.sales import (
    Deal,
    DealContact,
    DealLine,
    Lead,
    LeadStatus,
    Order,
    OrderLine,
    Pipeline,
    Product,
    ProductCategory,
    Stage,
    StageEvent,
)
from crm_core.models.segments import Segment, SegmentMember
from crm_core.models.service_levels import ServiceCalendar, SlaClock, SlaPolicy
from crm_core.models.telephony import VoiceCall, VoiceMenu, VoiceVersion

thin_out(Base.metadata)
keep_sorted(Base._sa_registry)

__all__ = [name for name, value in list(globals().items()) if isinstance(value, type)]
