"""The verdicts on an image, and what they rest on."""

ACCEPTED, REJECTED, ERROR = "accepted", "rejected", "error"
INSIDE = "inside_region"
"""Reason of an accepted image."""
OVER_CAP = "over_cap"
"""Reason of an accepted image that is one too many of its class."""
NOT_SELECTED = "not_selected"
"""Reason of an accepted image that a chosen set leaves out."""
DUPLICATE = "duplicate"
"""Reason of an accepted image that a chosen set leaves out since it has a better copy in it."""
LEFT_OUT = (OVER_CAP, NOT_SELECTED, DUPLICATE)
"""Reasons of images that were accepted, and are in no set for what others are."""
VERDICTS = (ACCEPTED, REJECTED, ERROR)
OF_EVIDENCE = "_evidence"
"""How names of columns of evidence end."""
NONE, EXACT, NEAR = "none", "exact", "near"
DUPLICATES = (NONE, EXACT, NEAR)
"""Which duplicates a chosen set leaves out; near ones are the exact ones, too."""
