"""The tables, as SQLAlchemy knows them; migrations make the same (a test compares them).

Times are microseconds since 1970 in UTC, as integers: exact, ordered, and the same in every database.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
)

metadata = MetaData()

# An INTEGER primary key is SQLite's row number; PostgreSQL counts in 64 bits.
_ID = BigInteger().with_variant(Integer, "sqlite")

record = Table(
    "record",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("uid", Text, nullable=False, unique=True),  # what people and other catalogs call it
    Column("hash", Text, unique=True),  # SHA-256 of the content; none for a record that is no file
    Column("number", Integer, nullable=False),  # of its version
    Column("document", Text, nullable=False),  # JSON in ASCII, whole and verbatim
    Column("reader", Text, nullable=False),  # which reader and library, with version, wrote the document
    Column("error", Text),  # why no reader could read the file
    Column("created", BigInteger, nullable=False),
    Column("changed", BigInteger, nullable=False),
    Index("record_changed", "changed", "id"),
)

version = Table(
    "version",  # every state of a record before the present one
    metadata,
    Column("record", _ID, ForeignKey("record.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("hash", Text),
    Column("document", Text, nullable=False),
    Column("reader", Text, nullable=False),
    Column("error", Text),
    Column("created", BigInteger, nullable=False),
    PrimaryKeyConstraint("record", "number"),
)

path = Table(
    "path",  # dictionary of the paths that occur
    metadata,
    Column("id", _ID, primary_key=True),
    Column("keys", Text, nullable=False),  # JSON array of keys in ASCII
    Column("aspect", SmallInteger, nullable=False),  # see parscope.catalog.store.keys
    Column("leaf", Text, nullable=False),  # its last key, as JSON, for paths of any depth
    UniqueConstraint("keys", "aspect"),
    Index("path_leaf", "leaf"),
)

value = Table(
    "value",  # the index: which record has which value under which path
    metadata,
    Column("path", _ID, nullable=False),
    Column("type", Integer, nullable=False),
    Column("key", LargeBinary, nullable=False),  # bytes that sort as the values do, alike in every database
    Column("record", _ID, nullable=False),
    PrimaryKeyConstraint("path", "type", "key", "record"),
    Index("value_record", "record"),
    sqlite_with_rowid=False,
)

file = Table(
    "file",  # where contents lie now
    metadata,
    Column("path", Text, primary_key=True),  # absolute
    Column("root", Text, nullable=False),  # the folder that was collected
    Column("record", _ID, ForeignKey("record.id"), nullable=False),
    Column("part", Boolean, nullable=False),  # of an acquisition of several files, not the one its hash is of
    Column("hash", Text, nullable=False),
    Column("fingerprint", Text, nullable=False),  # as results of parscope name their source
    Column("size", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("present", Boolean, nullable=False),
    Column("verified", BigInteger),  # when the verification began that found it whole
    Index("file_record", "record"),
    Index("file_hash", "hash"),
)

sighting = Table(
    "sighting",  # all paths a record was seen under, never deleted
    metadata,
    Column("record", _ID, ForeignKey("record.id"), nullable=False),
    Column("path", Text, nullable=False),
    Column("hash", Text, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    PrimaryKeyConstraint("record", "path", "hash"),
)

thumbnail = Table(
    "thumbnail",
    metadata,
    Column("record", _ID, ForeignKey("record.id"), primary_key=True),
    Column("png", LargeBinary, nullable=False),
)

link = Table(
    "link",  # the record `target` was made from the record `source`
    metadata,
    Column("source", _ID, ForeignKey("record.id"), nullable=False),
    Column("target", _ID, ForeignKey("record.id"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("program", Text, nullable=False),
    Column("parameters", Text, nullable=False),  # JSON
    Column("who", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    PrimaryKeyConstraint("source", "target", "kind"),
    Index("link_target", "target"),
)

annotation = Table(
    "annotation",
    metadata,
    Column("id", _ID, primary_key=True),
    Column("record", _ID, ForeignKey("record.id"), nullable=False),
    Column("key", Text, nullable=False),  # indexed under the path annotation.KEY
    Column("value", Text, nullable=False),  # JSON
    Column("who", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("withdrawn", BigInteger),  # when somebody took it back; it stays
    Index("annotation_record", "record"),
)

tag = Table(
    "tag",
    metadata,
    Column("record", _ID, ForeignKey("record.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    PrimaryKeyConstraint("name", "record"),
    Index("tag_record", "record"),
)

member = Table(
    "member",  # of a collection, which is nothing besides its members
    metadata,
    Column("collection", Text, nullable=False),
    Column("record", _ID, ForeignKey("record.id"), nullable=False),
    Column("who", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    PrimaryKeyConstraint("collection", "record"),
    Index("member_record", "record"),
)

retraction = Table(
    "retraction",  # what people took back
    metadata,
    Column("id", _ID, primary_key=True),
    Column("record", _ID, ForeignKey("record.id"), nullable=False),
    Column("what", Text, nullable=False),  # tag, collection, annotation, derived from
    Column("name", Text, nullable=False),  # the tag, the collection, the key; of a link, the uid of its source
    Column("said", Text, nullable=False),  # JSON of what stood there, with who had said it and when
    Column("who", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
    Index("retraction_record", "record"),
)

journal = Table(
    "journal",  # how far each file on the way into the catalog is
    metadata,
    Column("path", Text, primary_key=True),
    Column("root", Text, nullable=False),
    Column("stage", Text, nullable=False),  # seen, settled, hashed, extracted, committed or quarantined
    Column("size", BigInteger, nullable=False),
    Column("mtime_ns", BigInteger, nullable=False),
    Column("since", BigInteger, nullable=False),  # that size and time rest
    Column("hash", Text),
    Column("extracted", Text),  # JSON of what the reader said, until it is committed
    Column("error", Text),
    Column("owner", Text),  # host and process that works on it
    Column("lease", BigInteger),  # until when the owner may be silent
    Column("changed", BigInteger, nullable=False),  # when it was seen to have changed, or began to be read
    Index("journal_stage", "stage"),
)

root = Table(
    "root",  # folders that are collected, by machine
    metadata,
    Column("path", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("number", BigInteger, nullable=False),  # of the folder in its file system, the same for all who share it
    Column("seen", BigInteger, nullable=False),
    PrimaryKeyConstraint("path", "host"),
)

verification = Table(
    "verification",  # the last one
    metadata,
    Column("began", BigInteger, primary_key=True, autoincrement=False),  # `verified` of the files that it found whole
    Column("ended", BigInteger),
)

saved = Table(
    "saved",  # queries that people keep
    metadata,
    Column("name", Text, primary_key=True),
    Column("expression", Text, nullable=False),  # JSON
    Column("webhook", Text),  # where new matches are told
    Column("who", Text, nullable=False),
    Column("created", BigInteger, nullable=False),
)

notice = Table(
    "notice",  # new matches of saved queries, until they are delivered
    metadata,
    Column("id", _ID, primary_key=True),
    Column("saved", Text, nullable=False),
    Column("record", _ID, ForeignKey("record.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("delivered", BigInteger),
    Column("error", Text),
    UniqueConstraint("saved", "record", "number"),
)
