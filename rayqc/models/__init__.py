"""Networks and their losses; no data, no training loop."""
