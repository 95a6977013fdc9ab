"""Views: the protocol's endpoints, the person's own pages, the bureau's pages, and SCIM."""
