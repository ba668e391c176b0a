"""The revisions of the database."""
