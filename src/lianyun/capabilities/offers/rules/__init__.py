"""Rules of proactive service: pure decisions, no Django, no I/O."""
