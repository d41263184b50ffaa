"""How catalogs of older versions are brought up to date: what Alembic calls a script directory."""
