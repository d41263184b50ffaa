"""Ways to invert physics; each knows `Physics` and no technique."""
