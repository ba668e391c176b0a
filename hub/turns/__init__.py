"""A turn: one run of an agent, from the messages of an inbox to its reply.

`handler` takes what a worker claimed and settles how it ended; `running` is the turn that an agent is handed;
`view` says what its model sees, `compaction` keeps that short, and the rest is what a turn can do besides.
"""
