"""The one place that decides which agents and models a key may use."""

from __future__ import annotations

from typing import Literal

from hub.accounts.keys import Key


def may_use(key: Key, kind: Literal["agent", "model"], name: str, *, public: bool) -> bool:
    """Whether a key may ask an agent or a model.

    An agent that is `public` is there for every key, any other one for its owner and whoever was granted it; a model
    for whoever was granted it. Admins may use everything. A key that is limited to some agents or models has no others.
    """
    only = key.agents if kind == "agent" else key.models
    if only is not None and name not in only:
        return False
    return key.granted is None or (kind == "agent" and public) or (kind, name) in key.granted
