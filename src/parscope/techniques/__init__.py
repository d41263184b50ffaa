"""One technique each: physics that turns a few named numbers into a signal. Imports `core` only."""
