"""The HTTP façade."""
