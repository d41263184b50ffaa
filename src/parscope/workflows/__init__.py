"""Whole jobs, composed from techniques, solvers and readers: one call on a file, a cluster or an array."""
