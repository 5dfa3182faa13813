"""The filter measured on real data: what it finds, what it keeps, what that is worth."""
