"""Emoji as Feishu names them: it has a set of its own for reactions, and takes no others."""

from __future__ import annotations

NAMES = {
    "👍": "THUMBSUP",
    "👎": "ThumbsDown",
    "👌": "OK",
    "🆗": "OK",
    "❤": "HEART",
    "🎉": "PARTY",
    "👏": "APPLAUSE",
    "🙏": "THANKS",
    "💪": "MUSCLE",
    "🔥": "Fire",
    "🤔": "THINKING",
    "👀": "GLANCE",
    "✅": "DONE",
    "✔": "CheckMark",
    "❌": "CrossMark",
    "💯": "Hundred",
    "😊": "SMILE",
    "🙂": "SMILE",
    "😂": "LAUGH",
    "🤣": "LOL",
    "😍": "LOVE",
    "😮": "WOW",
    "😢": "CRY",
    "😭": "SOB",
    "😡": "ANGRY",
    "🤗": "HUG",
    "👋": "WAVE",
    "🌹": "ROSE",
    "🍺": "BEER",
    "🎂": "CAKE",
    "🎁": "GIFT",
    "☕": "Coffee",
    "🏆": "Trophy",
    "📌": "Pin",
    "⏰": "Alarm",
    "⏳": "OneSecond",
    "✍": "Typing",
    "⌨": "Typing",
}
VARIATION = "\ufe0f"


def name_of(emoji: str) -> str | None:
    """Feishu's name of an emoji, which may be given instead; None where it has none."""
    bare = emoji.replace(VARIATION, "")
    return NAMES.get(bare) or (bare if bare.isascii() and bare.replace("_", "").isalnum() else None)
