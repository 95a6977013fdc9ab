"""Views: the public hall's pages of items, and the officers' desk."""
