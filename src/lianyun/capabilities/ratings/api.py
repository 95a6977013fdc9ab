"""Ratings' door: rate, work on a bad one, and how departments stand."""

from __future__ import annotations

from .actions import call_back, open_visit, rate_case, rate_visit, work
from .queries import by_department, by_item, of_item, to_rate, whole
from .rules import picture

__all__ = [
    "by_department",
    "by_item",
    "call_back",
    "of_item",
    "open_visit",
    "picture",
    "rate_case",
    "rate_visit",
    "to_rate",
    "whole",
    "work",
]
