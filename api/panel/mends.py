"""What to do about a channel that does not work, by what its error says."""

from __future__ import annotations

from api.panel.words import N_

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


def mend(kind: str, error: str) -> tuple[str, str]:
    """What is wrong, and what to do: a sentence in English, to be said in the reader's language.

    Of an error that a platform's operator has to mend, what it says to do is left out: here it is done otherwise.
    """
    for whose, words, sentence in KNOWN:
        if whose in ("", kind) and any(word in error for word in words):
            return (error.partition(": ")[0].rstrip(".") + "." if whose else error), sentence
    return error, OTHER
