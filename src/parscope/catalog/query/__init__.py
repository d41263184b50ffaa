"""Questions to a catalog: one logical expression, spelled as text, as Python, as JSON, and compiled by the store."""
