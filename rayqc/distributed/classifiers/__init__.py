"""Kinds of classifiers that the arms are compared by: what each is trained on, and how."""
