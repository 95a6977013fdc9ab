"""Seals: an organ's or a person's mark that signs documents, whose every use is recorded and which nobody can forge."""
