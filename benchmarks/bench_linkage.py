"""Linkage: the measurement of ``linkage.py`` under the name by which `make bench` finds it."""

from __future__ import annotations

import sys

from linkage import main

if __name__ == "__main__":
    sys.exit(main())
