"""Models from admission to roll-out, and the training runs that make them."""
