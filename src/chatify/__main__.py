"""`python -m chatify` is `chatify`."""

import sys

from chatify.cli import main

if __name__ == "__main__":
    sys.exit(main())
