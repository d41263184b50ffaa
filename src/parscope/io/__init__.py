"""One reader per file format, all lazy, found by content."""
