"""Adapters: the sources that the hall asks (licences, libraries, registers), and the vault."""
