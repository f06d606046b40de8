"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "sessions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("public_id", sa.String(length=32), nullable=False),
        sa.Column("identity", sa.String(length=64), nullable=True),
        sa.Column("platform", sa.String(length=16), nullable=False),
        sa.Column("token_sha256", sa.String(length=64), nullable=False),
        sa.Column("client", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("arm", sa.String(length=64), nullable=True),
        sa.Column("language", sa.String(length=8), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("seed", sa.Integer(), nullable=True),
        sa.Column("entered_at", sa.String(length=32), nullable=False),
        sa.Column("consented_at", sa.String(length=32), nullable=True),
        sa.Column("ended_at", sa.String(length=32), nullable=True),
        sa.Column("lease_until", sa.String(length=32), nullable=True),
        sa.Column("code", sa.String(length=64), nullable=True),
        sa.Column("flags", sa.JSON(), nullable=False),
        sa.Column("device", sa.JSON(), nullable=False),
        sa.Column("replies", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
        sa.UniqueConstraint("identity", name=op.f("uq_sessions_identity")),
        sa.UniqueConstraint("public_id", name=op.f("uq_sessions_public_id")),
        sa.UniqueConstraint("token_sha256", name=op.f("uq_sessions_token_sha256")),
    )
    op.create_index(op.f("ix_sessions_arm"), "sessions", ["arm"], unique=False)
    op.create_index(op.f("ix_sessions_state"), "sessions", ["state"], unique=False)
    op.create_table(
        "settings",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("value", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_settings")),
    )
    op.create_table(
        "events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("session_id", sa.Integer(), nullable=True),
        sa.Column("at", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["session_id"], ["sessions.id"], name=op.f("fk_events_session_id_sessions")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
    )
    op.create_index("ix_events_session_id_id", "events", ["session_id", "id"], unique=False)
    op.create_table(
        "trials",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("session_id", sa.Integer(), nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("phase", sa.String(length=16), nullable=False),
        sa.Column("pair_id", sa.String(length=64), nullable=False),
        sa.Column("real_side", sa.String(length=8), nullable=False),
        sa.Column("asked", sa.String(length=8), nullable=False),
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("looked_at", sa.String(length=32), nullable=True),
        sa.Column("look", sa.String(length=64), nullable=True),
        sa.Column("looks", sa.Integer(), nullable=False),
        sa.CheckConstraint("real_side IN ('left', 'right')", name=op.f("ck_trials_real_side")),
        sa.ForeignKeyConstraint(["session_id"], ["sessions.id"], name=op.f("fk_trials_session_id_sessions")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trials")),
        sa.UniqueConstraint("session_id", "position", name=op.f("uq_trials_session_id")),
        sa.UniqueConstraint("token", name=op.f("uq_trials_token")),
    )
    op.create_index(op.f("ix_trials_pair_id"), "trials", ["pair_id"], unique=False)
    op.create_table(
        "answers",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("trial_id", sa.Integer(), nullable=False),
        sa.Column("session_id", sa.Integer(), nullable=False),
        sa.Column("attempt", sa.String(length=64), nullable=False),
        sa.Column("answered_at", sa.String(length=32), nullable=False),
        sa.Column("clicked", sa.String(length=8), nullable=False),
        sa.Column("chose_real", sa.Boolean(), nullable=False),
        sa.Column("rt_ms", sa.Double(), nullable=True),
        sa.Column("shown_ms", sa.Double(), nullable=True),
        sa.Column("frames", sa.Integer(), nullable=True),
        sa.Column("longest_gap_ms", sa.Double(), nullable=True),
        sa.Column("input", sa.String(length=16), nullable=True),
        sa.Column("flags", sa.JSON(), nullable=False),
        sa.Column("measurements", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["session_id"], ["sessions.id"], name=op.f("fk_answers_session_id_sessions")),
        sa.ForeignKeyConstraint(["trial_id"], ["trials.id"], name=op.f("fk_answers_trial_id_trials")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_answers")),
        sa.UniqueConstraint("trial_id", name=op.f("uq_answers_trial_id")),
    )
    op.create_index(op.f("ix_answers_session_id"), "answers", ["session_id"], unique=False)


def downgrade() -> None:
    """Back."""
    op.drop_index(op.f("ix_answers_session_id"), table_name="answers")
    op.drop_table("answers")
    op.drop_index(op.f("ix_trials_pair_id"), table_name="trials")
    op.drop_table("trials")
    op.drop_index("ix_events_session_id_id", table_name="events")
    op.drop_table("events")
    op.drop_table("settings")
    op.drop_index(op.f("ix_sessions_state"), table_name="sessions")
    op.drop_index(op.f("ix_sessions_arm"), table_name="sessions")
    op.drop_table("sessions")
