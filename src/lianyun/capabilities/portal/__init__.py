"""Portal: what every citizen may see: the public catalogue, who provides it, how to use it."""
