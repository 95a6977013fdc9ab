"""Actions of halls: halls and counters, appointments, tickets, terminals, parcels."""
