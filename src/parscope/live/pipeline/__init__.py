"""From a detector's message to an answer: ring of messages, frame loop, board of results, recorder, latency report."""
