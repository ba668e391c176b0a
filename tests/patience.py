"""How long a test waits for what must come."""

PATIENCE = 60.0
"""Seconds: a busy machine is no failure, and what does come ends the wait."""
