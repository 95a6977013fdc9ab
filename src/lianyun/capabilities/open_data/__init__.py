"""Open data: what the city gives to everybody: de-identified, approved, measured, kept up to date."""
