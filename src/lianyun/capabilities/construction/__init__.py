"""Construction: a project with its code and four stages, each one application to several departments at once."""
