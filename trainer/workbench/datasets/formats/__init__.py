"""Readers, one a format: each opens a file and hands its columns on in batches (`raw.Raw`)."""
