"""Latency and throughput of the live pipeline, sender and receiver on one machine."""
