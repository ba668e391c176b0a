"""What platforms say when they refuse something, in the reader's language, and what to do about it."""

from __future__ import annotations

import re
from functools import cache

from api.panel.words import N_, Words

OTHER = N_("The log has more about it.")
_NETWORK = N_(
    "Nothing has to be done if this passes: it tries again by itself. If it stays, look whether this machine reaches "
    "the platform: its network, a firewall, a proxy."
)
KNOWN: tuple[tuple[str, tuple[str, ...], str], ...] = (
    (
        "telegram",
        ("refuses the token",),
        N_(
            "Get a new token: write /token to @BotFather in Telegram, choose the bot, and put what it answers under "
            "“Edit”. It connects as soon as you save."
        ),
    ),
    (
        "telegram",
        ("Another program polls",),
        N_(
            "One bot can be in one hub only. Stop the other program; or make another bot with /newbot at @BotFather, "
            "and put its token under “Edit”."
        ),
    ),
    (
        "telegram",
        ("A webhook is set",),
        N_("Another program has Telegram push to it. Stop that, and press “Restart”: the webhook is then removed."),
    ),
    (
        "discord",
        ("refuses the token",),
        N_(
            "Get a new token: discord.com/developers, your application, Bot, “Reset Token”. Put it under “Edit”; it "
            "connects as soon as you save."
        ),
    ),
    (
        "discord",
        ("Message Content Intent",),
        N_(
            "Switch it on: discord.com/developers, your application, Bot, “Privileged Gateway Intents”, “Message "
            "Content Intent”, Save Changes. Then press “Restart”."
        ),
    ),
    (
        "feishu",
        ("refuses the app",),
        N_(
            "Compare App ID and App Secret with those in the console (Credentials), and whether the app is Feishu's or "
            "Lark's. A version of the app has to be published. Mend it under “Edit”."
        ),
    ),
    (
        "feishu",
        ("is no bot",),
        N_("Add the feature “Bot” in the console, publish a version, and press “Restart”."),
    ),
    ("", ("cannot be reached", "did not answer", "broke", "the connection ended", "ended the connection"), _NETWORK),
    (
        "",
        (" is not Telegram", " is not Feishu"),
        N_("Something in between answers: a proxy, or another address under “Edit”, “For experts”."),
    ),
    ("", ("is out of order",), N_("The platform has trouble of its own. It tries again by itself.")),
    ("", ("to wait",), N_("The platform wants it slower. It goes on by itself.")),
    (
        "",
        ("No module named", "bothub["),
        N_("The platform's library is missing: install bothub with it, and start the hub again."),
    ),
)
"""A kind of channel (empty: any), words of its errors, and what to do then."""

SAID = (
    N_("{platform} refuses the token of channel '{channel}'."),
    N_("{platform} refuses the app of channel '{channel}' ({code})."),
    N_("The app of channel '{channel}' is no bot ({code})."),
    N_("{platform} does not let the bot of channel '{channel}' read messages."),
    N_("Another program polls {platform} with the token of channel '{channel}'."),
    N_("A webhook is set for the bot of channel '{channel}', so it cannot be polled."),
    N_("{platform} cannot be reached by channel '{channel}'."),
    N_("{platform} did not answer channel '{channel}' in time."),
    N_("The connection of channel '{channel}' to {platform} broke."),
    N_("{platform} ended the connection of channel '{channel}'."),
    N_("{platform} ended the connection of channel '{channel}' with code {code}."),
    N_("What answered channel '{channel}' is not {platform}."),
    N_("{platform} asks channel '{channel}' to wait {seconds} s."),
    N_("{platform} is out of order: {words}."),
    N_("{platform} is out of order ({code})."),
    N_("{platform} refuses: {words}."),
    N_("{platform} refuses ({code}): {words}"),
    N_("{platform} says: the bot was blocked or removed."),
    N_("This message or address cannot be written in {platform}'s terms."),
)
"""What channels say of their platforms, see channels/*/errors.py; what they say to do then is said otherwise here."""


def heard(error: str, says: Words) -> str:
    """An error in the reader's language, without what to do about it, if it is one of those above; else as it is."""
    for sentence, form in _forms().items():
        if found := form.fullmatch(error):
            return says.say(sentence, **found.groupdict())
    return error


@cache
def _forms() -> dict[str, re.Pattern[str]]:
    return {one: re.compile(_form(one), re.DOTALL) for one in SAID}


def _form(sentence: str) -> str:
    whole = re.sub(r"\\{(\w+)\\}", r"(?P<\1>.+?)", re.escape(sentence))
    return whole if "{words}" in sentence else re.sub(r"\\\.$", r"(?:\\.|: .*)", whole)


def mend(kind: str, error: str) -> str:
    """What to do about an error of a channel: a sentence in English, to be said in the reader's language."""
    return next(
        (todo for whose, words, todo in KNOWN if whose in ("", kind) and any(word in error for word in words)), OTHER
    )
