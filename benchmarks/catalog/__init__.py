"""The catalog: speed of its queries and of taking records in, on documents made for it."""
