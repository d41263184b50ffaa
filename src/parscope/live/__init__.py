"""Analysis of a detector's stream pattern by pattern, within a deadline."""
