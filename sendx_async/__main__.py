"""Makes ``python -m sendx_async`` the command line."""

import sys

from sendx_async._cli import main

if __name__ == "__main__":
    sys.exit(main())
