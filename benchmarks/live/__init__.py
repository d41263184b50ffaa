"""Benchmarks of the live stream."""
