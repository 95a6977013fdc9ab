"""Views of halls: public pages, appointments, the clerk's desk, the manager, kiosks, parcels."""
