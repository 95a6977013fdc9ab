"""Rules: pure decisions of the catalogue: entries, search words, comparison; no Django, no I/O."""
