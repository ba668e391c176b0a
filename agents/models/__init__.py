"""Models, one file a provider."""
