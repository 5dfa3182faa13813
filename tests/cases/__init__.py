"""Situations of public bug reports, made anew by the scripts beside the project."""
