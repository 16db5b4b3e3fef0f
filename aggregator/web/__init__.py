"""Console and REST: skins over aggregator.queries."""
