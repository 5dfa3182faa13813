"""rayqc against bare processes and against what people write: ratios of one run.

python -m benchmarks.speed           # all of it, an hour on two cores; --help for parts
"""
