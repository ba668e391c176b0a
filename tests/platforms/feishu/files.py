"""Uploads and downloads (im/v1 images, files, message resources)."""

from urllib.parse import quote

from aiohttp import web

from tests.platforms.feishu.state import File, State
from tests.platforms.feishu.wire import Call, Json, Upload, refusal

IMAGE_LIMIT, FILE_LIMIT = 10 * 2**20, 30 * 2**20
FILE_TYPES = {"opus", "mp4", "pdf", "doc", "xls", "ppt", "stream"}
NAME_LIMIT = 255


async def create_image(state: State, call: Call) -> Json:
    """Takes an image of at most 10 MB."""
    if call.params.get("image_type") not in ("message", "avatar"):
        raise refusal(234001)
    upload = _upload(call, "image", IMAGE_LIMIT)
    return {"image_key": keep(state, "img_v3_", upload.name, upload.data, "image").key}


async def create_file(state: State, call: Call) -> Json:
    """Takes a file of at most 30 MB under the name it is given."""
    kind, name = call.params.get("file_type"), call.params.get("file_name")
    if kind not in FILE_TYPES or not isinstance(name, str) or not 0 < len(name) <= NAME_LIMIT:
        raise refusal(234001)
    upload = _upload(call, "file", FILE_LIMIT)
    return {"file_key": keep(state, "file_v3_", name, upload.data, str(kind)).key}


async def get_resource(state: State, call: Call) -> web.Response:
    """The bytes of a file that stands in a message."""
    if call.params.get("type") not in ("image", "file"):
        raise refusal(234001)
    message = state.find(call.params["message_id"])
    state.enter(message.chat)
    file = state.files.get(call.params["file_key"])
    if file is None or file.key not in message.content:
        raise refusal(234003)
    if (call.params["type"] == "image") != (file.kind == "image"):
        raise refusal(234001)
    disposition = f"attachment; filename=\"file\"; filename*=UTF-8''{quote(file.name)}"
    return web.Response(
        body=file.data, content_type="application/octet-stream", headers={"Content-Disposition": disposition}
    )


def keep(state: State, prefix: str, name: str, data: bytes, kind: str) -> File:
    """Stores a file, whoever sent it."""
    file = File(key=state.new_id(prefix), name=name, data=data, kind=kind)
    state.files[file.key] = file
    return file


def _upload(call: Call, name: str, limit: int) -> Upload:
    """The file part of a form; a part without a file name is none."""
    upload = call.params.get(name)
    if not isinstance(upload, Upload):
        raise refusal(234001)
    if not upload.data:
        raise refusal(234010)
    if len(upload.data) > limit:
        raise refusal(234006)
    return upload
