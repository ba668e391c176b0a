"""The REST API of commands and of what answers an interaction: one function a method."""

import re
from typing import Any, cast

from tests.platforms.discord.messages import remove
from tests.platforms.discord.posting import post, rewrite
from tests.platforms.discord.shapes import BOT, EPHEMERAL, LOADING
from tests.platforms.discord.state import Interaction, State
from tests.platforms.discord.wire import Answer, ApiError, Call, Json, invalid, too_long

FIRST_ANSWER, TOKEN_LIFE = 3, 900
"""How long an interaction waits for its first answer, and for the last."""
MESSAGE, DEFERRED_MESSAGE, DEFERRED_UPDATE, UPDATE = 4, 5, 6, 7
NAME = re.compile(r"[-_'\w]{1,32}")


def put_commands(state: State, call: Call) -> list[Json]:
    """Replaces all commands of a guild, or the global ones; a command keeps its id as long as it keeps its name."""
    guild = call.path.get("guild")
    if guild is not None and guild not in state.guilds:
        raise ApiError(403, 50001, "Missing Access")
    wanted = cast(list[Json], call.params.get("items") or [])
    if len(wanted) > 100:
        raise ApiError(400, 30032, "Maximum number of application commands reached (100).")
    known = {command["name"]: command["id"] for command in state.commands.get(guild, [])}
    made = [_command(state, index, command, known) for index, command in enumerate(wanted)]
    state.commands[guild] = [{**command, "guild_id": guild} if guild else command for command in made]
    state.changed.notify()
    return state.commands[guild]


def get_commands(state: State, call: Call) -> list[Json]:
    return state.commands.get(call.path.get("guild"), [])


def _command(state: State, index: int, command: Json, known: dict[str, str]) -> Json:
    kind, name = command.get("type") or 1, str(command.get("name") or "")
    if kind == 1 and (not NAME.fullmatch(name) or name != name.lower()):
        raise invalid(f"{index}.name", "APPLICATION_COMMAND_INVALID_NAME", "Command name is invalid")
    if kind == 1 and not 1 <= len(str(command.get("description") or "")) <= 100:
        raise invalid(f"{index}.description", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 100 in length.")
    if len(command.get("options") or []) > 25:
        raise too_long(f"{index}.options", 25)
    made: Json = {"id": known.get(name) or state.new_id(), "application_id": BOT, "version": state.new_id()}
    return {"default_member_permissions": None, "nsfw": False, **command, **made, "type": kind}


# The first answer


def interaction_callback(state: State, call: Call) -> Any:
    """Takes the first answer: once, in three seconds."""
    interaction = state.interactions.get(call.path["token"])
    late = interaction and state.clock() - interaction.at > FIRST_ANSWER
    if interaction is None or interaction.id != call.path["interaction"] or (late and interaction.callback is None):
        raise ApiError(404, 10062, "Unknown interaction")
    if interaction.callback is not None:
        raise ApiError(400, 40060, "Interaction has already been acknowledged.")
    kind = call.params.get("type")
    interaction.original = _first_answer(state, interaction, kind, call)
    interaction.callback = cast(int, kind)
    state.changed.notify()
    return _receipt(state, interaction) if call.query.get("with_response") in ("1", "true", "True") else None


def _first_answer(state: State, interaction: Interaction, kind: Any, call: Call) -> Json | None:
    data = cast(Json, call.params.get("data") or {})
    if kind == MESSAGE:
        return _say(state, interaction, data, call, type=20 if interaction.kind == 2 else 19)
    if kind == DEFERRED_MESSAGE:
        return _think(state, interaction, data)
    if kind in (DEFERRED_UPDATE, UPDATE) and interaction.pressed:
        pressed = interaction.pressed
        return pressed if kind == DEFERRED_UPDATE else rewrite(state, pressed, data, call.files)
    raise invalid("type", "BASE_TYPE_CHOICES", f"This server knows no answer of type {kind} to this interaction.")


def _think(state: State, interaction: Interaction, data: Json) -> Json:
    """The message that says that the bot is thinking."""
    flags = LOADING | (data.get("flags") or 0) & EPHEMERAL
    message = state.store(interaction.channel, state.me, flags=flags, **_frame(state, interaction), type=20)
    interaction.messages.append(message)
    state.announce("MESSAGE_CREATE", message)
    return message


def _say(state: State, interaction: Interaction, params: Json, call: Call, **frame: Any) -> Json:
    """A message that answers; the bot needs no permission for it."""
    message = post(state, interaction.channel, params, call.files, **_frame(state, interaction), **frame)
    interaction.messages.append(message)
    return message


def _frame(state: State, interaction: Interaction) -> Json:
    metadata: Json = {"id": interaction.id, "type": interaction.kind, "user": state.user(interaction.user)}
    metadata["authorizing_integration_owners"] = {"1": interaction.user}
    return {"application_id": BOT, "webhook_id": BOT, "interaction_metadata": metadata}


def _receipt(state: State, interaction: Interaction) -> Json:
    message = interaction.original
    told: Json = {"id": interaction.id, "type": interaction.kind}
    resource: Json = {"type": interaction.callback}
    if message:
        told |= {
            "response_message_id": message["id"],
            "response_message_loading": bool(message["flags"] & LOADING),
            "response_message_ephemeral": bool(message["flags"] & EPHEMERAL),
        }
        if interaction.callback != DEFERRED_MESSAGE:
            resource["message"] = state.shown(message)
    return {"interaction": told, "resource": resource}


# What follows


def followup(state: State, call: Call) -> Json:
    """A further message; the first one after a deferral takes the place of the thinking."""
    interaction = _open(state, call)
    if interaction.deferred and interaction.original:
        return state.shown(rewrite(state, interaction.original, call.params, call.files))
    return state.shown(_say(state, interaction, call.params, call))


def edit_response(state: State, call: Call) -> Json:
    return state.shown(rewrite(state, _named(state, call), call.params, call.files))


def get_response(state: State, call: Call) -> Json:
    return state.shown(_named(state, call))


def delete_response(state: State, call: Call) -> Answer:
    message = _named(state, call)
    remove(state, message)
    interaction = _open(state, call)
    interaction.messages = [made for made in interaction.messages if made is not message]
    return Answer(status=204, body=None)


def _open(state: State, call: Call) -> Interaction:
    """The interaction, while its token lives and once it has its first answer."""
    interaction = state.interactions.get(call.path["token"])
    if interaction is None or interaction.callback is None:
        raise ApiError(404, 10015, "Unknown Webhook")
    if state.clock() - interaction.at > TOKEN_LIFE:
        raise ApiError(401, 50027, "Invalid Webhook Token")
    return interaction


def _named(state: State, call: Call) -> Json:
    interaction = _open(state, call)
    name = call.path["message"]
    ours = [interaction.original] if interaction.original else []
    for message in [*ours, *interaction.messages]:
        if name == message["id"] or (name == "@original" and message is interaction.original):
            return state.find(message["channel_id"], message["id"])
    raise ApiError(404, 10008, "Unknown Message")
