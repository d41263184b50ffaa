"""How catalogs of older versions are brought up to date; run by Alembic."""
