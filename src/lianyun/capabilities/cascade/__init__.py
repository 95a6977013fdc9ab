"""Cascade: nodes of one product above and below one another exchange catalogues, requests and rows."""
