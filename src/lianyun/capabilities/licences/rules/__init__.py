"""Rules of licences: types, identifiers, credentials, verdicts; pure, no Django, no I/O."""
