"""What agents send: streams, screening, exactly-once ingest."""
