"""The public functions: each checks its arguments, owns its folders and calls `pipeline`."""
