"""Runs and their stages; deciding again, looking closer, drawing until full, checking."""
