"""Where the walk through a message writes what it finds: rows of 8 bytes each."""

from __future__ import annotations

from parscope.live.wire._cbor import DEPTH

# Those up to `LENGTH` are what a message of one channel is read from.
TYPE, SERIES, NUMBER_OF_IMAGE, START, STOP, SENT, CHANNELS, OFFSET, LENGTH = 0, 1, 2, 3, 4, 5, 6, 7, 8
# Of every channel: offset and length of its samples, two sides, two tags, bytes of an element; then the next channel.
ROWS, ORDER, SAMPLES, ELEMENT, FIELDS = 2, 4, 5, 6, 7
CHANNELS_AT_MOST = 16
# Begin of the field that was read last, fields seen, whether a channel has changed, room to pass over what is nested.
WHERE = OFFSET + FIELDS * CHANNELS_AT_MOST
SEEN, CHANGED, STACK = WHERE + 1, WHERE + 2, WHERE + 3
# Of every channel, two names, its own and that of its compression: a byte for the length, then bytes.
NAMES = STACK + DEPTH
NAME_AT_MOST = 63
TABLE = NAMES + CHANNELS_AT_MOST * 2 * 8

# What stands in `ORDER`, and in `ELEMENT` of samples that are not compressed.
ROW_MAJOR, COLUMN_MAJOR = 40, 1040
UNCOMPRESSED = -1
