"""Delivery: 批量交换: what a grant allows, brought to the receiver and kept up to date, or made a file."""
