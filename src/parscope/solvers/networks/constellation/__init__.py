"""A small network that finds a constellation at any orientation: its looks at a pattern, its training, its solver."""
