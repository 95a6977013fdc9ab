"""Offers: what the city says of itself to a person or firm it fits, and what it pays a firm by policy."""
