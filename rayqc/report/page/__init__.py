"""`report.html`: one self-contained page of what a filter found, for people to look at."""
