"""Relay: applications that a department's own system handles: handed over, followed, brought back."""
