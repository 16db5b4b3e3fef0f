"""Candidates: the models that compete in an experiment, one file an algorithm, one contract in base.py."""
