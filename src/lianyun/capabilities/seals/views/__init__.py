"""Views of seals: the keeper's desk, the authority, and what everybody may check."""
