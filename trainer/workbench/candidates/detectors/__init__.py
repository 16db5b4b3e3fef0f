"""Detectors: what differs from ordinary rows is strange. One file a family, one way to answer in graphed.py."""
