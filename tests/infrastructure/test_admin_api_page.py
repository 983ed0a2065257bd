"""docs/admin-api.md names every route of the administration, as it is called, and which of them ask for a step-up."""

from __future__ import annotations

import re

from tests.infrastructure.template import ROOT
from tests.support.described import description

CALL = re.compile(r'"\$api(/[^"?]*)')


def calls() -> dict[str, bool]:
    """`METHOD /path/{id}` → whether the page marks it as a step-up."""
    fenced = re.findall(r"^```sh\n(.*?)^```", (ROOT / "docs" / "admin-api.md").read_text(), re.MULTILINE | re.DOTALL)
    found: dict[str, bool] = {}
    for block in fenced:
        for command in re.split(r"^(?=curl )", block, flags=re.MULTILINE):
            path = CALL.search(command)
            if path is None:
                continue
            named = re.search(r" -X (\w+)", command)
            method = named[1] if named else "POST" if " -d " in command else "GET"
            assert " -X POST" not in command or " -d " not in command  # said twice, one of them will be wrong
            found[f"{method} {_pattern(method, path[1])}"] = "# step-up" in command
    return found


def _pattern(method: str, path: str) -> str:
    """The described path that fits; the page writes an id with an ellipsis at its end."""
    words = path.split("/")
    for pattern, methods in description()["paths"].items():
        parts = pattern.split("/")
        fits = len(parts) == len(words) and all(
            part == word or (part.startswith("{") and (word.endswith("…") or word == "google"))
            for part, word in zip(parts, words, strict=True)
        )
        if fits and method.lower() in methods:
            return str(pattern)
    raise AssertionError(f"{method} {path} is no route")


def described() -> dict[str, bool]:
    return {
        f"{method.upper()} {path}": operation["x-access"]["recent"]
        for path, methods in description()["paths"].items()
        if path.startswith("/v1/admin/")
        for method, operation in methods.items()
    }


def test_every_route_of_the_administration_has_its_example_and_no_other_is_named() -> None:
    """So the page can be followed."""
    assert calls().keys() == described().keys()


def test_t11_the_page_says_which_routes_ask_for_a_sign_in_a_moment_ago() -> None:
    """As they do."""
    assert calls() == described()
