"""Flows: the declared paths and decision tables of the city: read, drawn, tried, and cases moved on."""
