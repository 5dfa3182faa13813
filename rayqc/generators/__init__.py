"""Makers of candidates. Each is a source: it lists units and reads one, by making it."""
