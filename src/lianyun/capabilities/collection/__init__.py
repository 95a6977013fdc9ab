"""Collection 归集: departments' tables and files come in, batch by batch, whole or not at all."""
