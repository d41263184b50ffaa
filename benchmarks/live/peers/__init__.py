"""Runners of other programs, each executed by an interpreter of its own; the project never imports them."""
