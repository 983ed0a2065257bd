"""Pictures behind a token: what is asked, and what is kept of the answer."""

from dataclasses import replace

import pytest

from grantkeeper.errors import InvalidProviderRecord
from grantkeeper.model import HttpResponse
from grantkeeper.oauth.avatar import MAX_IMAGE, NO_PICTURE, avatar_request, read_avatar
from grantkeeper.providers.google import GOOGLE
from grantkeeper.providers.microsoft import MICROSOFT
from grantkeeper.providers.record import AvatarRule
from grantkeeper.providers.validate import check_record

JPEG, PNG, GIF = b"\xff\xd8\xff\xe0 ..", b"\x89PNG\r\n\x1a\n..", b"GIF89a.."
WEBP = b"RIFF\x24\x00\x00\x00WEBPVP8 .."
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>'


def answered(body, content_type="image/jpeg", status=200):
    return read_avatar(HttpResponse(status, {"content-type": content_type}, body))


def test_the_token_goes_into_the_header():
    """To the record's own address."""
    request = avatar_request(MICROSOFT, "at-1", {})

    assert request.url == "https://graph.microsoft.com/v1.0/me/photos/96x96/$value"
    assert dict(request.headers)["authorization"] == "Bearer at-1"


def test_nobody_else_is_asked():
    """A picture with an address of its own is no business of ours."""
    assert avatar_request(GOOGLE, "at-1", {}) is None


@pytest.mark.parametrize(
    ("content_type", "image"),
    [("image/jpeg", JPEG), ("image/png", PNG), ("image/gif", GIF), ("image/webp", WEBP)],
)
def test_o09_a_picture_is_what_its_bytes_say(content_type, image):
    """Type and first bytes agree, or nothing is kept."""
    assert answered(image, content_type) == (content_type, image)
    assert answered(image, f"{content_type.upper()}; charset=binary") == (content_type, image)
    assert answered(SVG, content_type) is None
    assert answered(image, "text/html") is None
    assert answered(image, "image/svg+xml") is None


def test_o09_an_old_name_of_a_type_is_understood():
    """And served under the right one."""
    assert answered(JPEG, "image/jpg") == ("image/jpeg", JPEG)


@pytest.mark.parametrize("image", [b"", SVG, b"<html>", b"RIFF....WAVEfmt ", b"\xff\xd8", b"GIF90a"])
def test_o09_what_is_no_picture_is_not_kept(image):
    """Whatever it calls itself."""
    for content_type in ("image/jpeg", "image/png", "image/gif", "image/webp", "image/svg+xml", ""):
        assert answered(image, content_type) is None


def test_o09_a_picture_has_a_size():
    """At most 64 KiB."""
    assert answered(JPEG + b"x" * (MAX_IMAGE - len(JPEG))) is not None
    assert answered(JPEG + b"x" * (MAX_IMAGE - len(JPEG) + 1)) is None


def test_no_picture_is_an_answer():
    """404, and nothing else: a refusal or a redirect says nothing of the picture."""
    assert answered(b"{}", "application/json", 404) == NO_PICTURE
    for status in (204, 301, 302, 307, 401, 403, 429, 500, 503):
        assert answered(JPEG, status=status) is None


@pytest.mark.parametrize(
    "template", ["https://{me#/host}/photo", "https://photos.example:{me#/port}/", "http://a.example/x"]
)
def test_o03_no_answer_chooses_the_host_that_gets_the_token(template):
    """The address is judged when the record is, as every other that gets a token."""
    record = replace(MICROSOFT, profile=replace(MICROSOFT.profile, avatar=AvatarRule("binary", template)))

    with pytest.raises(InvalidProviderRecord):
        check_record(record)
