"""Spawned work: processes of the trainer, started, watched, found again after a restart, and ended."""
