"""Draw the references and train the VAE, on the cluster this script runs on.

ray job submit --working-dir . -- python jobs/train.py --config jobs/mnist.yaml --out RUN
"""

import sys

from rayqc.cli.main import job

if __name__ == "__main__":
    sys.exit(job("train"))
