"""Queries: packages that are offered, one's own filings, a filing's materials, the bureau's figures."""
