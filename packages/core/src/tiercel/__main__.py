"""The command line: `python -m tiercel`, and the script `tiercel`."""

from __future__ import annotations

import sys
from importlib.util import find_spec

__all__ = ["main"]


def main() -> int:
    """Run a command and return its exit code.

    Without the extra `tiercel[cli]`, `plugins` and `doctor` work plainly; all other commands say
    what to install.
    """
    if find_spec("click") is None or find_spec("rich") is None:
        from tiercel.inspection import plain

        return plain.main(sys.argv[1:])
    from tiercel import cli

    return cli.main()


if __name__ == "__main__":
    sys.exit(main())
