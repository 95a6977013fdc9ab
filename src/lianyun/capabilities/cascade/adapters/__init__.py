"""Adapters of cascade: keys and signatures, the wire to another node, rows as files."""
