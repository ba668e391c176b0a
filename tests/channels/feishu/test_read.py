"""Every kind of message that people send, as CommonMark."""

from __future__ import annotations

import json
from typing import Any

import pytest

from channels.feishu.read import Attachment, Mention, UserId, content_of

BOT = "ou_bot"
MENTIONS = [
    Mention(key="@_user_1", id=UserId(open_id=BOT), name="Helper"),
    Mention(key="@_user_2", id=UserId(open_id="ou_b"), name="Boris"),
    Mention(key="@_user_10", id=UserId(open_id="ou_c"), name="Chloé"),
]


def read(kind: str, **content: Any) -> str:
    return content_of(kind, json.dumps(content), MENTIONS, BOT).text


@pytest.mark.parametrize(
    ("said", "heard"),
    [
        ("hello", "hello"),
        ("@_user_1 hello", "hello"),
        ("hello @_user_1", "hello"),
        ("well, @_user_1 what now?", "well, what now?"),
        ("@_user_1", ""),
        ("@_user_1 ask @_user_2 and @_user_10", "ask @Boris and @Chloé"),
        ("@_all lunch", "@all lunch"),
        ("@_user_7 who?", "@_user_7 who?"),
        ("line\n\n  two", "line\n\n  two"),
    ],
)
def test_people_stand_in_the_place_of_their_keys_and_the_bot_in_none(said: str, heard: str) -> None:
    assert read("text", text=said) == heard


@pytest.mark.parametrize(
    ("run", "heard"),
    [
        ({"tag": "text", "text": "plain"}, "plain"),
        ({"tag": "text", "text": " bold ", "style": ["bold"]}, "**bold**"),
        ({"tag": "text", "text": "both", "style": ["bold", "italic", "underline"]}, "***both***"),
        ({"tag": "text", "text": "gone", "style": ["lineThrough"]}, "~~gone~~"),
        ({"tag": "a", "text": "site", "href": "https://e.org"}, "[site](https://e.org)"),
        ({"tag": "a", "text": "https://e.org", "href": "https://e.org"}, "https://e.org"),
        ({"tag": "at", "user_id": "@_user_1", "user_name": "Helper"}, ""),
        ({"tag": "at", "user_id": "@_user_2", "user_name": "Boris"}, "@Boris"),
        ({"tag": "at", "user_id": "@_all"}, "@all"),
        ({"tag": "at", "user_id": "ou_x", "user_name": "Xavier"}, "@Xavier"),
        ({"tag": "emotion", "emoji_type": "SMILE"}, ":SMILE:"),
        ({"tag": "code_block", "language": "PYTHON", "text": "x = 1\n"}, "```python\nx = 1\n```"),
        ({"tag": "hr"}, "---"),
        ({"tag": "md", "text": "**as it is**"}, "**as it is**"),
        ({"tag": "of tomorrow", "text": "words"}, "words"),
    ],
)
def test_rich_text_is_markdown(run: dict[str, Any], heard: str) -> None:
    assert read("post", content=[[run]]) == heard


def test_rich_text_has_lines_a_title_and_files() -> None:
    lines = [
        [{"tag": "text", "text": "one "}, {"tag": "text", "text": "two", "style": ["bold"]}],
        [{"tag": "img", "image_key": "img_1"}],
        [{"tag": "media", "file_key": "file_1", "image_key": "img_2"}],
        [{"tag": "text", "text": "three"}],
    ]
    found = content_of("post", json.dumps({"title": "News", "content": lines}))
    assert found.text == "**News**\n\none **two**\n\nthree"
    assert [(file.key, file.kind) for file in found.files] == [("img_1", "image"), ("file_1", "file")]


def test_rich_text_in_several_languages_is_read_in_the_first() -> None:
    assert read("post", zh_cn={"title": "", "content": [[{"tag": "text", "text": "你好"}]]}) == "你好"


@pytest.mark.parametrize(
    ("kind", "content", "attachment"),
    [
        ("image", {"image_key": "k"}, Attachment("k", "image.png", "image", "image/png")),
        ("file", {"file_key": "k", "file_name": "a.pdf"}, Attachment("k", "a.pdf", "file")),
        ("audio", {"file_key": "k", "duration": 1}, Attachment("k", "voice.opus", "file", "audio/ogg")),
        ("media", {"file_key": "k", "image_key": "i"}, Attachment("k", "video.mp4", "file", "video/mp4")),
    ],
)
def test_files_are_named_by_their_keys(kind: str, content: dict[str, Any], attachment: Attachment) -> None:
    assert content_of(kind, json.dumps(content)).files == (attachment,)


@pytest.mark.parametrize(
    ("kind", "content", "heard"),
    [
        ("sticker", {"file_key": "k"}, "[sticker]"),
        ("location", {"name": "Café", "longitude": "1.5", "latitude": "2.5"}, "[location: Café, 2.5, 1.5]"),
        ("share_chat", {"chat_id": "oc_1"}, "[shared group: oc_1]"),
        ("share_user", {"user_id": "ou_1"}, "[shared contact: ou_1]"),
        ("folder", {"file_key": "k", "file_name": "papers"}, "[folder: papers]"),
        ("general_calendar", {"summary": "Stand-up", "start_time": "1"}, "[event: Stand-up]"),
        ("video_chat", {"topic": "Planning", "start_time": "1"}, "[video call: Planning]"),
        ("todo", {"task_id": "t"}, "[todo]"),
        ("merge_forward", {"content": "Merged and Forwarded Message"}, "[forwarded messages]"),
        ("of_tomorrow", {}, "[of tomorrow]"),
        ("interactive", {"title": "Build", "elements": [[{"tag": "text", "text": "is done"}]]}, "Build\nis done"),
        ("interactive", {}, "[card]"),
    ],
)
def test_what_has_no_text_is_said_in_words(kind: str, content: dict[str, Any], heard: str) -> None:
    assert read(kind, **content) == heard


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("text", "no JSON"),
        ("text", "[]"),
        ("text", "{}"),
        ("text", '{"text": 7}'),
        ("image", "{}"),
        ("file", '{"file_key": null}'),
        ("post", '{"title": "no content"}'),
    ],
)
def test_what_has_not_the_form_of_its_kind_is_an_error(kind: str, content: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        content_of(kind, content)
