"""Desk: officers take applications from a pool, accept, examine, decide and hand out the result."""
