"""Editions: declarations that were published in the browser, beside those that stand in packs' files."""
