"""The Responses API: agents with memory in `turns.py`, models and agents whose history the client keeps in `models.py`.

`request.py` reads what is asked, `items.py` knows the items of a conversation, `events.py` writes an answer as items
and as the events of a stream, `stored.py` finds what was asked and answered before, `routes.py` has the routes.
"""
