"""Rows for a fit: read, capped, held back where doubtful, split into roles that never overlap."""
