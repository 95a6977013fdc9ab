"""Open data: the measurement of ``open_data.py`` under the name by which `make bench` finds it."""

from __future__ import annotations

import sys

from open_data import main

if __name__ == "__main__":
    sys.exit(main())
