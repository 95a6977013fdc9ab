"""Queries: rounds for everybody, a family's own registrations, what officers see."""
