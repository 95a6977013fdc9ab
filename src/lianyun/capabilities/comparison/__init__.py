"""Comparison: what two departments' data say about each other, as findings a desk follows to an outcome."""
