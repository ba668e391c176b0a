"""Cards as JSON: what is refused in them, and what they say (pure)."""

import re
from collections.abc import Iterator
from typing import Any, cast

from tests.platforms.feishu.wire import Json, bad_card, parsed, refusal

KILOBYTE = 1024
CARD_LIMIT = 30 * KILOBYTE
TABLES = 5
"""Tables in one card, wherever they stand in it. The API reference does not list the code; operators measured that
five pass and six are refused (larksuite/openclaw-lark#46 and #53, openclaw/openclaw#86901, HKUDS/nanobot#1382). Whether
a card that is streaming is refused too is reported both ways (xmanrui/dsh-im#240: yes; openclaw: no); here it is."""
ELEMENTS = 200
"""Components and elements of a card together, nested ones included."""

TABLE = re.compile(
    r"^[ \t>]*\|?[ \t]*:?-+:?[ \t]*(\|[ \t]*:?-+:?[ \t]*)+\|?[ \t]*$|^[ \t>]*\|[ \t]*:?-+:?[ \t]*\|[ \t]*$"
)
FENCE = re.compile(r"^[ \t>]*(```|~~~)")


def read_card(text: object) -> Json:
    """The card in `text`; refused when it is none."""
    card = parsed(text)
    if card is None:
        raise bad_card(200621, "parse card json err, please check whether the card json is correct")
    return card


def check_card(card: Json) -> None:
    """Refuses a card of a message that the platform does not create."""
    if count_elements(card) > ELEMENTS:
        raise bad_card(11310, "element exceeds the limit", "element")
    check_tables(card)


def check_tables(card: Json) -> None:
    if count_tables(card) > TABLES:
        raise bad_card(11310, "card table number over limit", "table")


def check_entity(card: Json, size: int) -> None:
    """Refuses a card entity that the platform does not create; `size` are its bytes."""
    if card.get("schema") != "2.0":
        raise refusal(200220, "the card entity supports schema 2.0 only")
    if cast(Json, card.get("config") or {}).get("update_multi") is False:
        raise refusal(300302)
    if size > CARD_LIMIT:
        raise refusal(200860)
    if count_elements(card) > ELEMENTS:
        raise refusal(300305)
    check_tables(card)


def shared(card: Json) -> bool:
    """Whether a card may be updated for all who see it: declared, or of schema 2.0, which knows nothing else."""
    declared = cast(Json, card.get("config") or {}).get("update_multi")
    return bool(declared) or (declared is None and card.get("schema") == "2.0")


def elements(node: Any) -> Iterator[Json]:
    """Everything with a tag in a card, outermost first, in reading order."""
    if isinstance(node, dict):
        item = cast(Json, node)
        if "tag" in item:
            yield item
        for value in item.values():
            yield from elements(value)
    elif isinstance(node, list):
        for value in cast(list[Any], node):
            yield from elements(value)


def count_elements(card: Json) -> int:
    return sum(1 for _ in elements(_body(card)))


def count_tables(card: Json) -> int:
    texts = [str(item.get("content", "")) for item in elements(_body(card)) if item["tag"] == "markdown"]
    components = sum(1 for item in elements(_body(card)) if item["tag"] == "table")
    return components + sum(map(_tables, texts))


def flatten(card: Json) -> str:
    """What a card says: its markdown and texts, one below the other; headers and buttons left out."""
    return "\n".join(filter(None, map(_says, elements(_body(card)))))


def flatten_post(content: Json) -> str:
    """What a rich text message says: its title and its lines."""
    post = content if "content" in content else cast(list[Json], [*content.values()])[0]
    lines = ["".join(map(_run, line)) for line in cast(list[list[Json]], post.get("content") or [])]
    return "\n".join(filter(None, [str(post.get("title") or ""), *lines]))


def find_element(card: Json, element: str) -> Json:
    """The element with that id; refused when there is none."""
    found = next((item for item in elements(_body(card)) if item.get("element_id") == element), None)
    if found is None:
        raise refusal(300313, element)
    return found


def siblings(node: Any, element: str) -> list[Json]:
    """The list in which the element with that id stands; refused when there is none."""
    found = next((group for group in _groups(node) if any(item.get("element_id") == element for item in group)), None)
    if found is None:
        raise refusal(300313, element)
    return found


def can_press(card: Json, value: Json) -> bool:
    """Whether some button or other control of the card sends `value` back."""
    return any(_sends(item, value) for item in elements(_body(card)))


def _body(card: Json) -> Any:
    return card.get("body") or card.get("elements") or []


def _groups(node: Any) -> Iterator[list[Json]]:
    if isinstance(node, dict):
        for value in cast(Json, node).values():
            yield from _groups(value)
    elif isinstance(node, list):
        items = cast(list[Any], node)
        if all(isinstance(item, dict) for item in items):
            yield items
        for value in items:
            yield from _groups(value)


def _says(item: Json) -> str:
    if item["tag"] == "markdown":
        return str(item.get("content") or "")
    return str(cast(Json, item.get("text") or {}).get("content") or "") if item["tag"] == "div" else ""


def _run(run: Json) -> str:
    match run.get("tag"):
        case "at":
            return f"@{run.get('user_name') or run.get('user_id')}"
        case "code_block":
            return f"```{run.get('language') or ''}\n{run.get('text') or ''}\n```"
        case _:
            return str(run.get("text") or "")


def _sends(item: Json, value: Json) -> bool:
    behaviors = cast(list[Json], item.get("behaviors") or [])
    return item.get("value") == value or any(behavior.get("value") == value for behavior in behaviors)


def _tables(text: str) -> int:
    """The tables of a markdown text: a delimiter row below a row, outside code."""
    fenced = inside = False
    before, found = "", 0
    for line in text.splitlines():
        fenced ^= bool(FENCE.match(line))
        starts = not fenced and not inside and "|" in before and bool(TABLE.match(line))
        inside = not fenced and "|" in line and (inside or starts)
        before = "" if fenced else line
        found += starts
    return found
