"""Views: applying, one's own cases, the village clerk's help, the report."""
