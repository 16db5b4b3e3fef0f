"""What labels are worth: the benchmark of learning. See study.py for the protocol."""
