"""Local servers that speak the chat platforms' wire protocols and keep their limits."""
