"""Login: one account for every department's system: OpenID Connect, and SCIM for their staff."""
