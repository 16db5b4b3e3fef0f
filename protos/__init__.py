"""The language: what crosses a door between agent, aggregator and trainer is said here and nowhere else."""
