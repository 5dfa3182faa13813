"""The verdicts on an image."""

ACCEPTED, REJECTED, ERROR = "accepted", "rejected", "error"
VERDICTS = (ACCEPTED, REJECTED, ERROR)
