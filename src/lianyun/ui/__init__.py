"""Ui: the furniture that every capability shares: shell, pages, tables, forms, charts, maps."""
