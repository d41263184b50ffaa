"""The catalog: collects every file an instrument writes, and finds it again by any of its metadata."""
