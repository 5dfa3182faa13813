"""Judge the run's own pool, or another, on the cluster this script runs on.

ray job submit --working-dir . -- python jobs/filter.py --run RUN [--pool PATH --out DIR]
"""

import sys

from rayqc.cli.main import job

if __name__ == "__main__":
    sys.exit(job("filter"))
