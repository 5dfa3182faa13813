"""Measures the filter on real data: faults found, images accepted, and accuracy gained."""
