"""Items 事项: what the city does for people and firms, worked out to the last material."""
