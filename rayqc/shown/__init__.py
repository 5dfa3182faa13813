"""How results are shown: lines and tables, on a terminal and in a notebook."""
