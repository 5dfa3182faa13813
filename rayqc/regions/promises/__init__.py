"""Promises: which references fit, which calibrate, and what follows. One file for each promise."""
