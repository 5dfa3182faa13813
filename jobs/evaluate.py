"""Measure the filter itself on real data, on the cluster this script runs on.

ray job submit --working-dir . -- python jobs/evaluate.py --evaluation jobs/evaluate.yaml --out DIR
"""

import sys

from rayqc.cli.main import job

if __name__ == "__main__":
    sys.exit(job("evaluate"))
