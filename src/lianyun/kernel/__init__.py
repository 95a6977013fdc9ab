"""Kernel: the nouns on which every capability stands, one file each; it knows no capability."""
