"""Make the run's own pool of candidates, on the cluster this script runs on.

ray job submit --working-dir . -- python jobs/generate.py --run RUN
"""

import sys

from rayqc.cli.main import job

if __name__ == "__main__":
    sys.exit(job("generate"))
