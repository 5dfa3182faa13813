"""Which accepted images make the best set: one way of choosing a file."""
