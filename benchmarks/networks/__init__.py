"""Benchmarks of networks that invert physics."""
