"""Messages: the measurement of ``messages.py`` under the name by which `make bench` finds it."""

from __future__ import annotations

import sys

from messages import main

if __name__ == "__main__":
    sys.exit(main())
