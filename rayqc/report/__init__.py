"""What people look at: figures with intervals, tables, pictures."""
