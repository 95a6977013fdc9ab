"""Views: what is offered, one's own packages, the officers' pages."""
