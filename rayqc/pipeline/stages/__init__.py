"""The stages of a run, one record a file.

What a stage works with is imported when it works: the command line reads the records to know the
commands, and should not wait for Ray and torch.
"""
