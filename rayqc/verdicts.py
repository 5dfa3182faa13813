"""The verdicts on an image, and what they rest on."""

ACCEPTED, REJECTED, ERROR = "accepted", "rejected", "error"
NOT_SELECTED = "not_selected"
"""Reason of an accepted image that a chosen set leaves out."""
VERDICTS = (ACCEPTED, REJECTED, ERROR)
OF_EVIDENCE = "_evidence"
"""How names of columns of evidence end."""
