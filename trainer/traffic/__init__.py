"""Seeded, labelled traffic of a small office and of attacks on it, written as captures."""
