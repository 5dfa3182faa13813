"""The stages in order, and nothing else: train, fit, generate, filter, classify."""
