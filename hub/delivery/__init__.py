"""A delivery: one message to one address, from whoever posts it to the receipts of its parts.

`posts` puts it into a channel's inbox; `dispatch` sends it, split and paced; `preview` shows a reply that is still
being written; `deliveries` tells how each went.
"""
