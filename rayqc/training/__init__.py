"""One pure training loop a model: arrays in, weights and metrics out. Knows no Ray."""
