"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    """Make them."""
    op.create_table(
        "record",
        sa.Column("id", _ID, nullable=False),
        sa.Column("uid", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text()),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("reader", sa.Text(), nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("hash"),
        sa.UniqueConstraint("uid"),
    )
    op.create_index("record_changed", "record", ["changed", "id"])
    op.create_table(
        "version",
        sa.Column("record", _ID, sa.ForeignKey("record.id"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("hash", sa.Text()),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("reader", sa.Text(), nullable=False),
        sa.Column("error", sa.Text()),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("record", "number"),
    )
    op.create_table(
        "path",
        sa.Column("id", _ID, nullable=False),
        sa.Column("keys", sa.Text(), nullable=False),
        sa.Column("aspect", sa.SmallInteger(), nullable=False),
        sa.Column("leaf", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("keys", "aspect"),
    )
    op.create_index("path_leaf", "path", ["leaf"])
    op.create_table(
        "value",
        sa.Column("path", _ID, nullable=False),
        sa.Column("type", sa.Integer(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("record", _ID, nullable=False),
        sa.PrimaryKeyConstraint("path", "type", "key", "record"),
        sqlite_with_rowid=False,
    )
    op.create_index("value_record", "value", ["record"])
    op.create_table(
        "file",
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("root", sa.Text(), nullable=False),
        sa.Column("record", _ID, sa.ForeignKey("record.id"), nullable=False),
        sa.Column("part", sa.Boolean(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("present", sa.Boolean(), nullable=False),
        sa.Column("verified", sa.BigInteger()),
        sa.PrimaryKeyConstraint("path"),
    )
    op.create_index("file_hash", "file", ["hash"])
    op.create_index("file_record", "file", ["record"])
    op.create_table(
        "sighting",
        sa.Column("record", _ID, sa.ForeignKey("record.id"), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("first", sa.BigInteger(), nullable=False),
        sa.Column("last", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("record", "path", "hash"),
    )
    op.create_table(
        "thumbnail",
        sa.Column("record", _ID, sa.ForeignKey("record.id"), nullable=False),
        sa.Column("png", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("record"),
    )
    op.create_table(
        "link",
        sa.Column("source", _ID, sa.ForeignKey("record.id"), nullable=False),
        sa.Column("target", _ID, sa.ForeignKey("record.id"), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("program", sa.Text(), nullable=False),
        sa.Column("parameters", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("source", "target", "kind"),
    )
    op.create_index("link_target", "link", ["target"])
    op.create_table(
        "annotation",
        sa.Column("id", _ID, nullable=False),
        sa.Column("record", _ID, sa.ForeignKey("record.id"), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("withdrawn", sa.BigInteger()),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("annotation_record", "annotation", ["record"])
    op.create_table(
        "tag",
        sa.Column("record", _ID, sa.ForeignKey("record.id"), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", "record"),
    )
    op.create_index("tag_record", "tag", ["record"])
    op.create_table(
        "member",
        sa.Column("collection", sa.Text(), nullable=False),
        sa.Column("record", _ID, sa.ForeignKey("record.id"), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("collection", "record"),
    )
    op.create_index("member_record", "member", ["record"])
    op.create_table(
        "retraction",
        sa.Column("id", _ID, nullable=False),
        sa.Column("record", _ID, sa.ForeignKey("record.id"), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("said", sa.Text(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    op.create_index("retraction_record", "retraction", ["record"])
    op.create_table(
        "journal",
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("root", sa.Text(), nullable=False),
        sa.Column("stage", sa.Text(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.Text()),
        sa.Column("extracted", sa.Text()),
        sa.Column("error", sa.Text()),
        sa.Column("owner", sa.Text()),
        sa.Column("lease", sa.BigInteger()),
        sa.Column("changed", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("path"),
    )
    op.create_index("journal_stage", "journal", ["stage"])
    op.create_table(
        "saved",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("expression", sa.Text(), nullable=False),
        sa.Column("webhook", sa.Text()),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "notice",
        sa.Column("id", _ID, nullable=False),
        sa.Column("saved", sa.Text(), nullable=False),
        sa.Column("record", _ID, sa.ForeignKey("record.id"), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("created", sa.BigInteger(), nullable=False),
        sa.Column("delivered", sa.BigInteger()),
        sa.Column("error", sa.Text()),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("saved", "record", "number"),
    )
