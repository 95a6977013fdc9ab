"""Rules: what a declaration may say, how words are filled in, when something may be sent."""
