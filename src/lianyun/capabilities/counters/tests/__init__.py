"""Tests of the halls."""
