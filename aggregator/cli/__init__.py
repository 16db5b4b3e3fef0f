"""The operator's client: `anomaflow <noun> <verb>`, a module a noun, over the same REST API as anyone."""
