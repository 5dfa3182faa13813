"""Fit each class's region to the references, on the cluster this script runs on.

ray job submit --working-dir . -- python jobs/fit.py --run RUN
"""

import sys

from rayqc.cli.main import job

if __name__ == "__main__":
    sys.exit(job("fit"))
