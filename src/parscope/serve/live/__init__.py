"""The page of a running acquisition: maps that fill in, patterns, latency, rules; in a browser and in notebooks."""
