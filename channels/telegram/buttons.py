"""Buttons below a message, and what pressing one says."""

from __future__ import annotations

import hashlib

from aiogram.types import CallbackQuery, InlineKeyboardButton, InlineKeyboardMarkup
from aiogram.types import Message as Said

from hub.message import Button, Buttons

DATA_BYTES = 64
"""What Telegram lets a button carry."""
LONG = "text:"
"""What stands for a value that is too long: the button says its text instead. The message itself remembers it."""


def keyboard(buttons: Buttons) -> InlineKeyboardMarkup | None:
    """The buttons as Telegram has them."""
    rows = [[_button(button) for button in row] for row in buttons if row]
    return InlineKeyboardMarkup(inline_keyboard=rows) if rows else None


def pressed(query: CallbackQuery) -> str | None:
    """What a press says; None for a button of a message that Telegram does not show any more."""
    data = query.data or ""
    if not data.startswith(LONG):
        return data or None
    markup = query.message.reply_markup if isinstance(query.message, Said) else None
    rows = markup.inline_keyboard if markup else []
    return next((button.text for row in rows for button in row if button.callback_data == data), None)


def _button(button: Button) -> InlineKeyboardButton:
    value = button.value or button.text
    fits = len(value.encode()) <= DATA_BYTES and not value.startswith(LONG)
    data = value if fits else LONG + hashlib.sha256(value.encode()).hexdigest()[:32]
    return InlineKeyboardButton(text=button.text, callback_data=data)
