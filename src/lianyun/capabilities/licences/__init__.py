"""Licences: what people and firms hold, as files and credentials that prove themselves."""
