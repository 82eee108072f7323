"""``python -m levylearn``: the command line."""

import sys

from levylearn.cli import main

if __name__ == "__main__":
    sys.exit(main())
