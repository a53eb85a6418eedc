"""The command line: `python -m tiercel`, and the script `tiercel`."""

from __future__ import annotations

import sys

from tiercel.cli import main

__all__ = ["main"]

if __name__ == "__main__":
    sys.exit(main())
