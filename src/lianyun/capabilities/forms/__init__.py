"""Forms: declared forms, the drafts people fill in part by part, and what they attach."""
