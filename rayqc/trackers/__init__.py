"""Trackers of experiments, which a run tells what it measures; their failure never stops it."""
