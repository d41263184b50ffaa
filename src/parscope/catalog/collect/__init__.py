"""Watches folders, reads what settles in them in a process with limits, and commits it to the catalog."""
