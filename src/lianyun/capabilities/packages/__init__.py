"""Packages: several items of one matter of life or business (一件事), asked once, filed once."""
