"""rayqc against bare processes and against what people write: ratios of one run.

python -m benchmarks.speed decode|encode|filter|photographs     # --help; see docs/speed.md
"""
