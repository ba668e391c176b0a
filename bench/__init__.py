"""Measures what the hub costs."""
