"""Pure rules of halls: opening hours, the order of a queue, waiting times, appointments, parcels."""
