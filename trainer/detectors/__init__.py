"""Detectors, one file an algorithm. `base.py` is the contract that all of them keep."""
