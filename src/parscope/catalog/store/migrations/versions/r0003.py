"""A verification that was stopped is told from one that ended."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the table of the last verification."""
    op.create_table(
        "verification",
        sa.Column("began", sa.BigInteger(), nullable=False, autoincrement=False),
        sa.Column("ended", sa.BigInteger()),
        sa.PrimaryKeyConstraint("began"),
    )
