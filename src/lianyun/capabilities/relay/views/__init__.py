"""Views: the desk's pages of department systems, and the doors at which the systems knock."""

from __future__ import annotations
