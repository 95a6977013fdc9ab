"""Audit: the ledger of what was done, the record of what was read, and the proof that both are whole."""
