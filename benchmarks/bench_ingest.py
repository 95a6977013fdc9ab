"""Ingest: the measurement of ``ingest.py`` under the name by which `make bench` finds it."""

from __future__ import annotations

import sys

from ingest import main

if __name__ == "__main__":
    sys.exit(main())
