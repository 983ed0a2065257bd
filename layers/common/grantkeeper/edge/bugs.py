"""What the log is told of a bug: which exception, where, on which route. Never what any value was (L-02)."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any, Protocol

from grantkeeper.edge.http import Request

MAX_FRAMES = 30


class _Log(Protocol):
    def error(self, msg: object, *args: object, extra: Any = None) -> None: ...


def report_bugs(logger: _Log) -> Callable[[Request | None, BaseException], None]:
    """
    Make the `on_error` of an `App`.

    A message may quote a token and so may a frame's locals, so neither is written: only the type, and file, line and
    function of each frame, along the chain of causes.
    """

    def report(request: Request | None, error: BaseException) -> None:
        fields: dict[str, Any] = {"error": type(error).__name__, "stack": stack_of(error)}
        if request is not None:
            fields |= {"route": request.route, "request_id": request.request_id}
        logger.error("a bug answered 500", extra=fields)

    return report


def stack_of(error: BaseException) -> list[str]:
    """File, line and function of the frames, the cause's after its effect's."""
    lines: list[str] = []
    current: BaseException | None = error
    while current is not None and len(lines) < MAX_FRAMES:
        lines.append(type(current).__name__)
        lines += [
            f"{frame.f_code.co_filename}:{line} {frame.f_code.co_name}"
            for frame, line in traceback.walk_tb(current.__traceback__)
        ]
        current = current.__cause__ or current.__context__
    return lines[:MAX_FRAMES]
