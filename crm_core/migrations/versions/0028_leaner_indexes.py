"""indexes that begin another one go, those of columns that are often empty hold only what has a value, and what was changed last is found by one

Revision ID: 0028
Revises: 0027
"""

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None

GONE = {
    "ix_account_deleted_at": ("account", ["deleted_at"]),
    "ix_account_owner_id": ("account", ["owner_id"]),
    "ix_activity_account_id": ("activity", ["account_id"]),
    "ix_activity_contact_id": ("activity", ["contact_id"]),
    "ix_activity_deal_id": ("activity", ["deal_id"]),
    "ix_activity_lead_id": ("activity", ["lead_id"]),
    "ix_activity_owner_id": ("activity", ["owner_id"]),
    "ix_activity_ticket_id": ("activity", ["ticket_id"]),
    "ix_campaign_deleted_at": ("campaign", ["deleted_at"]),
    "ix_contact_deleted_at": ("contact", ["deleted_at"]),
    "ix_contact_owner_id": ("contact", ["owner_id"]),
    "ix_deal_deleted_at": ("deal", ["deleted_at"]),
    "ix_deal_owner_id": ("deal", ["owner_id"]),
    "ix_deal_stage_id": ("deal", ["stage_id"]),
    "ix_lead_deleted_at": ("lead", ["deleted_at"]),
    "ix_lead_owner_id": ("lead", ["owner_id"]),
    "ix_product_deleted_at": ("product", ["deleted_at"]),
    "ix_sales_order_account_id": ("sales_order", ["account_id"]),
    "ix_sales_order_contact_id": ("sales_order", ["contact_id"]),
    "ix_sales_order_deleted_at": ("sales_order", ["deleted_at"]),
    "ix_sales_order_owner_id": ("sales_order", ["owner_id"]),
    "ix_segment_deleted_at": ("segment", ["deleted_at"]),
    "ix_task_account_id": ("task", ["account_id"]),
    "ix_task_contact_id": ("task", ["contact_id"]),
    "ix_task_deal_id": ("task", ["deal_id"]),
    "ix_task_lead_id": ("task", ["lead_id"]),
    "ix_task_owner_id": ("task", ["owner_id"]),
    "ix_task_ticket_id": ("task", ["ticket_id"]),
    "ix_ticket_deleted_at": ("ticket", ["deleted_at"]),
    "ix_ticket_owner_id": ("ticket", ["owner_id"]),
}
SPARSE = {
    "ix_account_domain": ("account", ["domain"]),
    "ix_account_handover_state": ("account", ["handover_state"]),
    "ix_account_parent_id": ("account", ["parent_id"]),
    "ix_activity_account": ("activity", ["account_id", "at"]),
    "ix_activity_contact": ("activity", ["contact_id", "at"]),
    "ix_activity_deal": ("activity", ["deal_id", "at"]),
    "ix_activity_deleted_at": ("activity", ["deleted_at"]),
    "ix_activity_lead": ("activity", ["lead_id", "at"]),
    "ix_activity_ticket": ("activity", ["ticket_id", "at"]),
    "ix_analysis_mark_run": ("analysis_mark", ["run_id"]),
    "ix_analysis_run_requested_by": ("analysis_run", ["requested_by"]),
    "ix_api_call_key": ("api_call", ["key_id", "id"]),
    "ix_app_user_manager_id": ("app_user", ["manager_id"]),
    "ix_app_user_team_id": ("app_user", ["team_id"]),
    "ix_campaign_member_contact_id": ("campaign_member", ["contact_id"]),
    "ix_campaign_member_lead_id": ("campaign_member", ["lead_id"]),
    "ix_campaign_member_mail_id": ("campaign_member", ["mail_id"]),
    "ix_consent_contact": ("consent", ["contact_id", "purpose", "way", "is_latest"]),
    "ix_consent_lead": ("consent", ["lead_id", "purpose", "way", "is_latest"]),
    "ix_contact_account_id": ("contact", ["account_id"]),
    "ix_contact_email": ("contact", ["email"]),
    "ix_dashboard_role_id": ("dashboard", ["role_id"]),
    "ix_deal_account_id": ("deal", ["account_id"]),
    "ix_deal_campaign_id": ("deal", ["campaign_id"]),
    "ix_deal_contact_id": ("deal", ["contact_id"]),
    "ix_deal_product_id": ("deal", ["product_id"]),
    "ix_deal_line_product_id": ("deal_line", ["product_id"]),
    "ix_event_log_actor": ("event_log", ["actor_id", "id"]),
    "ix_form_submission_lead_id": ("form_submission", ["lead_id"]),
    "ix_handover_from_user_id": ("handover", ["from_user_id"]),
    "ix_handover_to_user_id": ("handover", ["to_user_id"]),
    "ix_home_page_dashboard_id": ("home_page", ["dashboard_id"]),
    "ix_inbound_mail_activity_id": ("inbound_mail", ["activity_id"]),
    "ix_inbound_mail_contact_id": ("inbound_mail", ["contact_id"]),
    "ix_inbound_mail_list": ("inbound_mail", ["mailbox_id", "id"]),
    "ix_inbound_mail_ticket_id": ("inbound_mail", ["ticket_id"]),
    "ix_inbound_mail_ticket_message_id": ("inbound_mail", ["ticket_message_id"]),
    "ix_job_run_user_id": ("job_run", ["user_id"]),
    "ix_lead_campaign_id": ("lead", ["campaign_id"]),
    "ix_lead_converted_account_id": ("lead", ["converted_account_id"]),
    "ix_lead_converted_at": ("lead", ["converted_at"]),
    "ix_lead_converted_contact_id": ("lead", ["converted_contact_id"]),
    "ix_lead_converted_deal_id": ("lead", ["converted_deal_id"]),
    "ix_lead_email": ("lead", ["email"]),
    "ix_mail_delivery_contact_id": ("mail_delivery", ["contact_id"]),
    "ix_mail_delivery_lead_id": ("mail_delivery", ["lead_id"]),
    "ix_order_line_product": ("order_line", ["product_id"]),
    "ix_product_category_id": ("product", ["category_id"]),
    "ix_product_sku": ("product", ["sku"]),
    "ix_product_suggestion_rule": ("product_suggestion", ["because_id", "product_id", "at"]),
    "ix_queue_item_queue_id": ("queue_item", ["queue_id"]),
    "ix_queue_item_rule_id": ("queue_item", ["rule_id"]),
    "ix_routing_decision_queue_id": ("routing_decision", ["queue_id"]),
    "ix_routing_decision_rule_id": ("routing_decision", ["rule_id"]),
    "ix_routing_decision_user": ("routing_decision", ["user_id", "entity", "at"]),
    "ix_sales_order_account": ("sales_order", ["account_id", "ordered_at"]),
    "ix_sales_order_campaign_id": ("sales_order", ["campaign_id"]),
    "ix_sales_order_contact": ("sales_order", ["contact_id", "ordered_at"]),
    "ix_sales_order_deal_id": ("sales_order", ["deal_id"]),
    "ix_shop_delivery_order_id": ("shop_delivery", ["order_id"]),
    "ix_speed_target_calendar_id": ("speed_target", ["calendar_id"]),
    "ix_stage_event_to_stage_id": ("stage_event", ["to_stage_id"]),
    "ix_survey_invitation_contact": ("survey_invitation", ["contact_id", "sent_at"]),
    "ix_task_account": ("task", ["account_id", "status"]),
    "ix_task_contact": ("task", ["contact_id", "status"]),
    "ix_task_deal": ("task", ["deal_id", "status"]),
    "ix_task_deleted_at": ("task", ["deleted_at"]),
    "ix_task_lead": ("task", ["lead_id", "status"]),
    "ix_task_ticket": ("task", ["ticket_id", "status"]),
    "ix_ticket_account_id": ("ticket", ["account_id"]),
    "ix_ticket_contact_id": ("ticket", ["contact_id"]),
    "ix_ticket_follows_id": ("ticket", ["follows_id"]),
    "ix_ticket_mailbox_id": ("ticket", ["mailbox_id"]),
    "ix_ticket_merged_into_id": ("ticket", ["merged_into_id"]),
    "ix_ticket_product_id": ("ticket", ["product_id"]),
    "ix_ticket_solved_at": ("ticket", ["solved_at"]),
    "ix_ticket_team_id": ("ticket", ["team_id"]),
    "ix_ticket_message_message_id": ("ticket_message", ["message_id"]),
    "ix_touchpoint_anonymous_id": ("touchpoint", ["anonymous_id"]),
    "ix_touchpoint_campaign": ("touchpoint", ["campaign_id", "at"]),
    "ix_touchpoint_contact": ("touchpoint", ["contact_id", "at"]),
    "ix_touchpoint_lead_id": ("touchpoint", ["lead_id"]),
    "ix_voice_call_contact": ("voice_call", ["contact_id", "started_at"]),
    "ix_work_profile_calendar_id": ("work_profile", ["calendar_id"]),
}
NEW = {
    "ix_account_changed": ("account", ["updated_at", "id"]),
    "ix_contact_changed": ("contact", ["updated_at", "id"]),
    "ix_deal_changed": ("deal", ["updated_at", "id"]),
    "ix_lead_changed": ("lead", ["updated_at", "id"]),
    "ix_sales_order_changed": ("sales_order", ["updated_at", "id"]),
    "ix_ticket_changed": ("ticket", ["updated_at", "id"]),
}
LEADS = ["deleted_at", "created_at", "owner_id", "converted_at"], ["deleted_at", "created_at", "id", "owner_id", "converted_at"]


def upgrade() -> None:
    for name, (table, _columns) in (GONE | SPARSE).items():
        op.drop_index(name, table_name=table)
    for name, (table, columns) in SPARSE.items():
        filled = sa.text(f"{columns[0]} IS NOT NULL")
        op.create_index(name, table, columns, sqlite_where=filled, postgresql_where=filled)
    for name, (table, columns) in NEW.items():
        op.create_index(name, table, columns)
    op.drop_index("ix_lead_list", table_name="lead")
    op.create_index("ix_lead_list", "lead", LEADS[1])


def downgrade() -> None:
    op.drop_index("ix_lead_list", table_name="lead")
    op.create_index("ix_lead_list", "lead", LEADS[0])
    for name, (table, _columns) in (NEW | SPARSE).items():
        op.drop_index(name, table_name=table)
    for name, (table, columns) in (SPARSE | GONE).items():
        op.create_index(name, table, columns)
