"""Markdown that somebody else wrote as HTML that does nothing: no script, no form, nothing loaded from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

TAGS = {
    *("p", "br", "hr", "blockquote", "pre", "code", "em", "strong", "s", "a", "ul", "ol", "li"),
    *("h1", "h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td"),
}
ATTRIBUTES = {"a": {"href", "title"}, "code": {"class"}, "ol": {"start"}}
SCHEMES = {"http", "https", "mailto"}


def html(text: str) -> Markup:
    """The HTML of a text; what is HTML in it is shown as it stands, a picture is a link to it."""
    import nh3

    clean = nh3.clean(
        _parser().render(text),
        tags=TAGS,
        attributes=ATTRIBUTES,
        url_schemes=SCHEMES,
        link_rel="noopener noreferrer nofollow",
        set_tag_attribute_values={"a": {"target": "_blank"}},
    )
    return Markup(clean)  # noqa: S704 - cleaned above


def plain(text: str) -> str:
    """What a text says, on one line and without its marks."""
    said: list[str] = []
    for block in _parser().parse(text):
        said += ["\n", *(" " if each.type.endswith("break") else each.content for each in block.children or [block])]
    return " ".join("".join(said).split())


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False, "breaks": True}).enable(["table", "strikethrough"])
    parser.add_render_rule("image", _picture)
    return parser


def _picture(_renderer: Any, tokens: Sequence[Token], index: int, _options: Any, _env: Any) -> str:
    source, words = str(tokens[index].attrGet("src") or ""), tokens[index].content
    return str(Markup('<a href="{}">{}</a>').format(source, words or source))
