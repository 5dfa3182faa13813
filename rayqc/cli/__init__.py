"""The `rayqc` command."""
