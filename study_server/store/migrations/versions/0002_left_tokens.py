"""Tokens of pages that were left, so that these can be told so."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "left_tokens",
        sa.Column("token_sha256", sa.String(length=64), nullable=False),
        sa.Column("session_id", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["session_id"], ["sessions.id"], name=op.f("fk_left_tokens_session_id_sessions")),
        sa.PrimaryKeyConstraint("token_sha256", name=op.f("pk_left_tokens")),
    )


def downgrade() -> None:
    """Back."""
    op.drop_table("left_tokens")
