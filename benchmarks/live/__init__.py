"""Live analysis: kernels, latency and throughput."""
