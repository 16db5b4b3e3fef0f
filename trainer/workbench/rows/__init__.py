"""Rows of an experiment: a table's columns, what of them may be learnt from, their roles, and their encoding."""
