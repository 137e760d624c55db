"""What the figures of a campaign's audience are made of: they are remembered until one of these changes."""

TABLES = (
    "contact", "lead", "account", "contact_point", "consent", "suppression", "mail_delivery", "segment", "segment_member", "campaign_member",
    "campaign_plan", "campaign_channel", "outreach_rules",
)  # fmt: skip
ENTITIES = ("contact", "lead", "account", "segment")
