"""Views: for everybody, for guardians, for officers."""
