"""Networks trained for a scan or a technique, in one call."""
