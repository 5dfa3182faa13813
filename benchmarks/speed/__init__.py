"""rayqc against bare processes and against what people write: ratios of one run.

python -m benchmarks.speed decode|encode|filter     # --help; docs/speed.md says what it found
"""
