"""A small application being cached, live: `./dev demo`, and `./dev demo --redis`.

It checks what it shows: the exit status is 1 if anything that it says turned out to be false.
"""

import sys

if __name__ == "__main__":  # the processes it starts import this module too, and need less
    from stage import main

    sys.exit(main())
