"""Sharing: one department asks another for data and gets a right that is limited and can be taken back."""
