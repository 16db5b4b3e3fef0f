"""Pictures of a data set, for the page and for paper."""
