"""Benchmarks on tables: public data sets and tables of one's own, under one protocol that leaves no room to peek."""
