"""Rules of the builder: content and its merging, YAML both ways, packs, checks, steps, invented values."""
