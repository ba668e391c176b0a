"""Keys, and the turns that are billed to them."""

KEY_VARIABLES = ("BOTHUB_API_KEY", "ADMIN_API_KEY", "LETTABOT_API_KEY")
"""The environment variables that may give the first admin key; the first that is set counts."""
