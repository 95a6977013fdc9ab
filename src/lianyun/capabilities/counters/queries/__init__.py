"""Queries of halls: what is open, who waits, who has an appointment, what the figures say."""
