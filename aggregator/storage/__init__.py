"""Where things are kept: the relational store with its schema, and flows as Parquet from staging to the lake."""
