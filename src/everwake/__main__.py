"""`python -m everwake` is `everwake`."""

import sys

from everwake.cli import main

if __name__ == "__main__":
    sys.exit(main())
