"""Exchange: what flows between whom, what is late, dead, failed, and what looks like misuse."""
