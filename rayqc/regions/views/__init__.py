"""What the label's classifiers look at; one file a view."""
