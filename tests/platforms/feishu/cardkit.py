"""The card entities (cardkit/v1): created, sent once, then changed by operations with a growing sequence."""

import json
from typing import Any, cast

from tests.platforms.feishu.cards import check_entity, elements, find_element, siblings
from tests.platforms.feishu.state import DAY, Card, State
from tests.platforms.feishu.wire import ApiError, Call, Json, parsed, refusal

CONTENT_LIMIT = 100_000


async def create(state: State, call: Call) -> Json:
    """A card entity from card JSON."""
    card = Card(id=state.new_id("ck_"), json=_card(call.params), at=state.clock())
    state.cards[card.id] = card
    _stream(state, card, _settings(card.json).get("streaming_mode"))
    return {"card_id": card.id}


async def update(state: State, call: Call) -> Json:
    """Puts another card in place of the whole card."""
    card = _card_of(state, call)
    replaced = _card(cast(Json, call.params.get("card") or {}))
    _count(card, call)
    card.json = replaced
    _stream(state, card, _settings(replaced).get("streaming_mode", False))
    return {}


async def settings(state: State, call: Call) -> Json:
    """Changes the card's config, among it streaming_mode."""
    card = _card_of(state, call)
    changes = _change_of(call.params.get("settings"))
    _count(card, call)
    _configure(state, card, changes)
    return {}


async def content(state: State, call: Call) -> Json:
    """Puts the full text so far into a text element, while the card is streaming."""
    card = _card_of(state, call)
    text = call.params.get("content")
    if not isinstance(text, str) or not 0 < len(text) <= CONTENT_LIMIT:
        raise refusal(99992402, "the length of content is 1 to 100000")
    _check_streaming(state, card)
    element = find_element(card.json, call.params["element_id"])
    if element["tag"] not in ("markdown", "plain_text"):
        raise refusal(300313, "the element is no text")
    changed = _with(card.json, call.params["element_id"], text)
    check_entity(changed, _size(changed))
    _count(card, call)
    element["content"] = text
    state.changed.notify()
    return {}


async def batch_update(state: State, call: Call) -> Json:
    """Several changes at once; all of them or none."""
    card = _card_of(state, call)
    actions: Any = json.loads(call.text("actions"))
    changed: Json = json.loads(json.dumps(card.json))
    configs = [_apply(changed, cast(Json, action)) for action in actions]
    check_entity(changed, _size(changed))
    _count(card, call)
    card.json = changed
    for config in filter(None, configs):
        _configure(state, card, config)
    state.changed.notify()
    return {}


async def id_convert(state: State, call: Call) -> Json:
    """The card entity of a message."""
    card = state.card_of(state.find(call.text("message_id")))
    if card is None:
        raise refusal(230054)
    return {"card_id": card.id}


def _card(params: Json) -> Json:
    if params.get("type") != "card_json":
        raise _unsupported(f"cards of type {params.get('type')}")
    data = params.get("data")
    card = parsed(data)
    if card is None:
        raise refusal(200220, "card json is invalid")
    check_entity(card, len(str(data).encode()))
    return card


def _card_of(state: State, call: Call) -> Card:
    card = state.cards.get(call.params["card_id"])
    if card is None:
        raise refusal(200740)
    if state.clock() - card.at > 14 * DAY:
        raise refusal(200750)
    return card


def _count(card: Card, call: Call) -> None:
    """Admits the operation if it is a new one and comes after those before."""
    uuid, sequence = call.params.get("uuid"), call.params.get("sequence")
    if not isinstance(sequence, int) or not 0 < sequence < 2**31:
        raise refusal(99992402, "sequence is a positive int32")
    if uuid and uuid in card.uuids:
        raise refusal(200770)
    if sequence <= card.sequence:
        raise refusal(300317)
    card.sequence = sequence
    if uuid:
        card.uuids.add(str(uuid))


def _check_streaming(state: State, card: Card) -> None:
    """Refuses a card that does not stream: 200850 when its time has just run out, 300309 from then on."""
    if card.opened is None:
        raise refusal(300309)
    if state.clock() - card.opened >= state.streaming_seconds:
        _stream(state, card, False)
        raise refusal(200850)


def _stream(state: State, card: Card, on: object) -> None:
    if on is not None:
        card.opened = state.clock() if on else None
        state.changed.notify()


def _settings(card: Json) -> Json:
    return cast(Json, card.get("config") or {})


def _change_of(text: object) -> Json:
    found = parsed(text)
    if found is None or not isinstance(found.get("config"), dict):
        raise refusal(99992402, "settings is a JSON string with config")
    return cast(Json, found["config"])


def _configure(state: State, card: Card, changes: Json) -> None:
    card.json["config"] = {**_settings(card.json), **changes}
    _stream(state, card, changes.get("streaming_mode"))


def _apply(card: Json, action: Json) -> Json | None:
    """One action of a batch, done to `card`; returns the config it changes, if it does."""
    params = cast(Json, action.get("params") or {})
    match action.get("action"):
        case "partial_update_setting":
            return _change_of(json.dumps(params.get("settings")))
        case "add_elements":
            _add(card, params)
        case "delete_elements":
            for element in cast(list[str], params["element_ids"]):
                group = siblings(card, element)
                group[:] = [item for item in group if item.get("element_id") != element]
        case "partial_update_element":
            find_element(card, params["element_id"]).update(params["partial_element"])
        case "update_element":
            found = find_element(card, params["element_id"])
            found.clear()
            found.update(params["element"])
        case other:
            raise _unsupported(f"the action {other}")
    return None


def _add(card: Json, params: Json) -> None:
    target, new = params.get("target_element_id"), cast(list[Json], params["elements"])
    if not target:
        cast(list[Json], card["body"]["elements"]).extend(new)
        return
    if params["type"] == "append":
        cast(list[Json], find_element(card, target).setdefault("elements", [])).extend(new)
        return
    group = siblings(card, target)
    at = next(n for n, item in enumerate(group) if item.get("element_id") == target)
    at += params["type"] == "insert_after"
    group[at:at] = new


def _with(card: Json, element: str, text: str) -> Json:
    """A copy of the card in which that element says `text`."""
    copy: Json = json.loads(json.dumps(card))
    for item in elements(copy):
        if item.get("element_id") == element:
            item["content"] = text
    return copy


def _unsupported(what: str) -> ApiError:
    return refusal(99992402, f"this server does not know {what}")


def _size(card: Json) -> int:
    return len(json.dumps(card, ensure_ascii=False).encode())
