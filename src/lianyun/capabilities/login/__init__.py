"""Login: one account for every department's system: OpenID Connect, SCIM, the national platform."""
