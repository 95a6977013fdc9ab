"""Identity: accounts with which persons act for their departments."""
