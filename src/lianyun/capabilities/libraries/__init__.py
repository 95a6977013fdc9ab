"""Libraries: one golden record per person or legal entity, each field from who is authoritative for it."""
