"""Views of the builder."""
