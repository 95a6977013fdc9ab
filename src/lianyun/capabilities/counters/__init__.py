"""Counters: the halls that one walks into: appointments, tickets, calling, the screen, kiosks, couriers."""
