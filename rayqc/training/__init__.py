"""One training loop for each model: arrays in, weights and metrics out. No module imports Ray."""
