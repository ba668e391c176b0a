"""Who pays for what chats ask, as a configuration says."""

from __future__ import annotations

from hub.accounts.money import amount
from hub.accounts.payers import of_agent, of_channel, of_chat
from hub.config import Config


def quotas(config: Config) -> dict[str, int]:
    """The month's quota of each budget, by its name."""
    found = {of_agent(name): agent.month_quota for name, agent in config.agents.items() if agent.enabled}
    for name, channel in config.channels.items():
        if channel.enabled:
            found[of_channel(name)] = channel.month_quota
            found |= {of_chat(name, id): chat.month_quota for id, chat in channel.chats.items()}  # noqa: A001
    return {name: amount(quota, name) for name, quota in found.items() if quota is not None}


def payers(config: Config) -> dict[str, int]:
    """The ids of the keys that pay for channels, by the names of the budgets in whose place they do."""
    paying = {name: channel.payer for name, channel in config.channels.items() if channel.enabled}
    return {of_channel(name): key for name, key in paying.items() if key is not None}
