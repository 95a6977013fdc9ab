"""Cascade: the measurement of ``cascade.py`` under the name by which `make bench` finds it."""

from __future__ import annotations

import sys

from cascade import main

if __name__ == "__main__":
    sys.exit(main())
