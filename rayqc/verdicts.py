"""What may become of an image: the one list of verdicts."""

ACCEPTED, REJECTED, ERROR = "accepted", "rejected", "error"
VERDICTS = (ACCEPTED, REJECTED, ERROR)
