"""The verdicts on an image."""

ACCEPTED, REJECTED, ERROR = "accepted", "rejected", "error"
NOT_SELECTED = "not_selected"
"""Reason of an accepted image that a chosen set leaves out."""
VERDICTS = (ACCEPTED, REJECTED, ERROR)
