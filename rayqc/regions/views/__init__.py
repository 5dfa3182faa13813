"""Views: what the label's classifiers look at in an image. One file for each view."""
