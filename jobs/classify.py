"""Train classifiers with and without what was kept, on the cluster this script runs on.

ray job submit --working-dir . -- python jobs/classify.py --run RUN
"""

import sys

from rayqc.cli.main import job

if __name__ == "__main__":
    sys.exit(job("classify"))
