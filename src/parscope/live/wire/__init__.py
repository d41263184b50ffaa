"""The messages of a detector: DECTRIS's stream V2 (CBOR) read and written, and its older stream V1 translated."""
