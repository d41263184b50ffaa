"""Describers: what the files of each format say about themselves, one file a format."""
