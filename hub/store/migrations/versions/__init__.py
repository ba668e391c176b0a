"""The revisions of the database; a new one brings a sample of what it adds: `tests/hub/samples/<revision>.yaml`."""
