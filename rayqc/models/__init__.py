"""Networks and losses, without data or training loops."""
