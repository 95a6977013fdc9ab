"""Hall: applications for items, what frees their materials, and a citizen's or firm's own space."""
