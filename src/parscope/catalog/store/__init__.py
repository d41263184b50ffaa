"""Tables of the catalog, and all SQL: the same on SQLite and on PostgreSQL."""
