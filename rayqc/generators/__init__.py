"""Makers of candidates. Each is a source: it lists units, and reads a unit by making it."""
