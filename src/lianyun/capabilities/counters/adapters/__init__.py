"""The outside of halls: what the packs declare of them, and couriers."""
