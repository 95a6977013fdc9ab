"""Rules: what a package is, which of its items follow from the answers, and what may begin when."""
