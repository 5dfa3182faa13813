"""The stages of a run, one record a file.

A stage imports what it needs inside `work`: the command line reads the records to list the
commands, and should not wait for Ray and torch.
"""
