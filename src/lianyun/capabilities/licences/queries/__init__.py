"""Queries: types, licences that a viewer may see, wallets, figures, verdicts."""
