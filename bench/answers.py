"""Answers of token endpoints, of the sizes there are: what the weight of a grant hangs on."""

from __future__ import annotations

import json
import secrets
import string
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Shape:
    """Characters of the tokens in an answer and of our client id, and the scopes: what the size of an item hangs on."""

    access_token: int
    refresh_token: int
    id_token: int
    client_id: int
    scopes: tuple[str, ...]


SHAPES = {
    "opaque": Shape(40, 80, 0, 20, ("repo", "read:user")),  # as of GitHub, Slack, Notion
    "google": Shape(
        220,
        103,
        1100,
        72,
        (
            "openid",
            "https://www.googleapis.com/auth/drive.readonly",
            "https://www.googleapis.com/auth/userinfo.email",
        ),
    ),
    "jwt": Shape(1500, 1200, 1000, 36, ("openid", "Files.Read", "Mail.Read", "offline_access")),  # as of Microsoft
}


def answer_of(shape: str, *, expires_in: int = 3600) -> str:
    """A token answer of a shape, `{n}` where the refresh token differs from answer to answer."""
    sizes = SHAPES[shape]
    body = {
        "access_token": text_of(sizes.access_token),
        "expires_in": expires_in,
        "refresh_token": text_of(sizes.refresh_token - 9) + "-{n}",
        "scope": " ".join(sizes.scopes),
        "token_type": "Bearer",
    }
    if sizes.id_token:
        body["id_token"] = ".".join((text_of(120), text_of(sizes.id_token - 464), text_of(342)))
    return json.dumps(body)


def text_of(length: int) -> str:
    """Random, as tokens are; fixed lengths."""
    return "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(length))
