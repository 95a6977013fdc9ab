"""Queries: applications that a viewer may see, the sources asked, what frees each material, the report."""
