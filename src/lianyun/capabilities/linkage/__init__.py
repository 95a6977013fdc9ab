"""Linkage 关联: rows of departments that speak of one person or firm without a common number."""
