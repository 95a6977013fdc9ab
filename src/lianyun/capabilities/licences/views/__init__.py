"""Views of licences: the department's desk, the counter, the wallet, verification for everybody."""
