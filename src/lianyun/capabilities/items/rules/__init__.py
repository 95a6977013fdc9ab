"""Rules: items without a database: their shape, their checks, what answers make of them."""
