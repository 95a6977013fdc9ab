"""Ratings: one word of the person on every matter and every visit; a bad one is worked on until he is called back."""
