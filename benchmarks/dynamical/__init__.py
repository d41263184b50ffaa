"""Patterns from a multislice calculation, made in an environment of its own."""
