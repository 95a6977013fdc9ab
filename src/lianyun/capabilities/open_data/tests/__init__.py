"""Tests of open_data."""
