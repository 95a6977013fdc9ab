"""Adapters of licences: the press that draws files, the seal, the departments' registers, the shelf of files."""
