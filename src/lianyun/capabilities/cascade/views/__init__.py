"""Views of cascade: officers' pages, and the API by which nodes talk."""
