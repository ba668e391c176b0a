"""Markdown of others is shown, and does nothing."""

from __future__ import annotations

import re

import pytest

from api.panel.markdown import html, plain


def test_it_is_shown_as_meant() -> None:
    shown = html("# Tea\n\n- **green** and `code`\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```py\nx < 1\n```")
    for tag in ("<h1>", "<li>", "<strong>", "<code>", "<table>", '<code class="language-py">'):
        assert tag in shown
    assert "x &lt; 1" in shown


def test_a_line_ends_where_it_ended() -> None:
    assert re.search(r"one<br ?/?>\ntwo", html("one\ntwo"))


def test_links_lead_out_and_tell_nobody_from_where() -> None:
    shown = html("[tea](https://example.org/)")
    assert 'href="https://example.org/"' in shown
    assert 'rel="noopener noreferrer nofollow"' in shown


def test_a_picture_is_a_link() -> None:
    shown = html('![a "cup"](https://example.org/cup.png)')
    assert "<img" not in shown
    assert 'href="https://example.org/cup.png"' in shown


@pytest.mark.parametrize(
    "attack",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<svg/onload=alert(1)>",
        "<iframe srcdoc='<script>alert(1)</script>'>",
        "[x](javascript:alert(1))",
        "[x](JaVaScRiPt:alert(1))",
        "[x](&#106;avascript:alert(1))",
        "[x](data:text/html;base64,PHNjcmlwdD4=)",
        "![x](javascript:alert(1))",
        '![x" onerror="alert(1)](https://example.org/)',
        '[x](https://example.org/ "\\" onmouseover=\\"alert(1)")',
        "<a href='javascript:alert(1)'>x</a>",
        '```"><script>alert(1)</script>\nx\n```',
        "<form action=/panel/logout method=post><button>x</button></form>",
        "<style>*{display:none}</style>",
        "<details open ontoggle=alert(1)>",
    ],
)
def test_nothing_in_it_runs(attack: str) -> None:
    shown = html(attack)
    tags = re.findall(r"<(\w+)([^>]*)>", shown)
    assert {name for name, _ in tags} <= {"p", "a", "pre", "code", "br"}
    for name, attributes in tags:
        assert re.fullmatch(r'(\s(href|title|rel|target|class)="[^"]*")*\s*/?', attributes), (name, attributes)
        assert not re.search(r'href="\s*(?:javascript|data|vbscript)', attributes, re.IGNORECASE)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# Tea\n\n- **green** and `x < 1`\n- black", "Tea green and x < 1 black"),
        ("| a | b |\n|---|---|\n| 1 | 2 |", "a b 1 2"),
        ("```python\nprint(1)\n```\none\ntwo  \nthree", "print(1) one two three"),
        ("[tea](https://example.org/) ![a cup](https://example.org/cup.png)", "tea a cup"),
        ("2 * 3 * 4 <b>bold</b>", "2 * 3 * 4 <b>bold</b>"),
        ("**cut of", "**cut of"),
    ],
)
def test_on_one_line_it_is_what_it_says(text: str, said: str) -> None:
    assert plain(text) == said
