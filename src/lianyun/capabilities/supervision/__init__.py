"""Supervision: lamps over all departments, urging with an answer, cards, the closed loop of an item."""
