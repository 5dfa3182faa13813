"""Any stage of a run that takes the run alone, on the cluster this script runs on.

ray job submit --working-dir . -- python jobs/stage.py STAGE --run RUN
"""

import sys

from rayqc.cli.main import stage_job

if __name__ == "__main__":
    sys.exit(stage_job())
