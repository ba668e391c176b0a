"""A turn: one run of an agent, from the messages of an inbox to its reply.

`handler` takes what a worker claimed and settles how it ended; `running` is the turn that an agent is handed. It is
put together of `journal` (what is stored), `arrivals` (newer messages), `speech` (what is shown live) and what the
agent may do besides: `posting`, `recall`, `reminders`. `view` says what its model sees, `compaction` keeps that short;
`errand` is the turn of a completion, which has no conversation.
"""
