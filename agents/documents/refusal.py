"""How the process that reads a document tells that it cannot: by its exit code, with the reason on stdout."""

REFUSED = 3
TOO_MUCH = 4
"""It ran out of the memory it was given."""


class Refusal(Exception):
    """Why a document cannot be read: a sentence whose subject is the document, which is not written."""
