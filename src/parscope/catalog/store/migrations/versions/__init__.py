"""One file a version: what it changes of the tables."""
