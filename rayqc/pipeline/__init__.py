"""Runs and their stages; also refilter, inspect, drawing until full, and checking images."""
