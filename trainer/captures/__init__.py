"""Captures whose truth is known, taken through the product's own path: flows, scores, thresholds, incidents."""
