"""Answers of the protocol that are files."""

import json
import re
import secrets
from typing import Any
from urllib.parse import quote

from fastapi.responses import Response

LABEL_TYPE = "application/json"


def attachment(name: str) -> str:
    """Header ``Content-Disposition`` of a file with a name."""
    return f"attachment; filename*=utf-8''{quote(name, safe='')}"


def plain_name(name: str) -> str:
    """A name that clients can take for a file as it is.

    >>> plain_name('a/b "Müller".2')
    'a_b__M_ller_.2'
    """
    return re.sub(r"[^A-Za-z0-9_.-]", "_", name).lstrip(".") or "image"


def params_and_file(params: dict[str, Any], name: str, content: str) -> Response:
    """Multipart form of ``params`` and one file, as ``/infer/`` answers.

    It has a length, as MONAI Label's client reads no chunks.
    """
    boundary = secrets.token_hex(16)
    parts = [
        ('name="params"', json.dumps(params).encode()),
        (f'name="file"; filename="{plain_name(name)}"', content.encode()),
    ]
    body = b""
    for said, value in parts:
        head = f"--{boundary}\r\nContent-Disposition: form-data; {said}\r\n"
        body += f"{head}Content-Type: {LABEL_TYPE}\r\n\r\n".encode() + value + b"\r\n"
    body += f"--{boundary}--\r\n".encode()
    return Response(body, media_type=f"multipart/form-data; boundary={boundary}")
