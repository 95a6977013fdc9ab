"""Catalogue 目录: departments' resources with their items: drawn up, reviewed, published, found."""
