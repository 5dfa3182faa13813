"""Scores: how unlike its class an image is, by one measure each. One file for each score."""
