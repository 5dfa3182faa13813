"""`python -m rayqc` is the `rayqc` command."""

import sys

from rayqc.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
