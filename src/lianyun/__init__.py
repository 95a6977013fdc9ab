"""Lianyun 连云: one backbone for a city's digital government."""
