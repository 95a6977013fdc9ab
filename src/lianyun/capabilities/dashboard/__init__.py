"""Dashboard: what awaits an officer, and how the city's data stand."""
