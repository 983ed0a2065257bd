"""The pages about providers."""

import shutil

import pytest

from cli import provider_docs
from cli.provider_docs import PAGES, main, pages, stale
from grantkeeper.providers.catalog import BUILT_IN, BUILT_IN_SERVICES


@pytest.fixture
def folder(tmp_path, monkeypatch):
    copy = shutil.copytree(PAGES, tmp_path / "providers")
    monkeypatch.setattr(provider_docs, "PAGES", copy)
    return copy


def test_the_committed_pages_are_current():
    """A changed record without its page is a record nobody can look up: `python -m cli.provider_docs`."""
    assert stale() == []


def test_every_service_has_a_page():
    """And so has a provider that only signs users in."""
    assert set(pages()) == {"README.md", "slack-signin.md"} | {
        f"{service}.md" for service in BUILT_IN_SERVICES if service != "demo"
    }


def test_a_page_says_what_an_operator_needs():
    """Where to register, the redirect URI, the scopes, the expiry, and what disconnecting does."""
    written = pages()
    for name, text in written.items():
        if name in ("README.md", "slack-signin.md"):
            continue
        for title in ("## Register", "## Connect", "## What expires when", "## What disconnecting does", "## Sources"):
            assert title in text, name
        assert "None" not in text, name
    assert "/oauth2/callback/google`" in written["gmail.md"]
    assert "The same registration serves Gmail, Google Calendar, YouTube" in written["google-drive.md"]
    assert "`user:channels:read`" in written["slack.md"]
    assert "- The API is at `metadata.instance_url`" in written["salesforce.md"], "the notes by hand"


def test_no_note_is_left_without_its_page():
    """A note is named after a service or a provider."""
    assert {path.stem for path in (PAGES / "notes").glob("*.md")} <= {*BUILT_IN, *BUILT_IN_SERVICES}


def test_an_old_page_is_found_and_mended(folder):
    """Changed, missing, or of a service that is gone; pages by other hands are left alone."""
    (folder / "gmail.md").write_text("Old.")
    (folder / "slack.md").unlink()
    (folder / "gone.md").write_text(provider_docs.MARK)
    (folder / "essay.md").write_text("By hand.")

    assert stale(folder) == ["gmail.md", "gone.md", "slack.md"]
    assert main([]) == 0
    assert stale(folder) == []
    assert (folder / "essay.md").read_text() == "By hand."
    assert not (folder / "gone.md").exists()


def test_check_fails_on_an_old_page(monkeypatch, capsys):
    """For the pipeline."""
    monkeypatch.setattr(provider_docs, "stale", lambda: ["gmail.md"])
    assert main(["--check"]) == 1
    assert "docs/providers/gmail.md is not current" in capsys.readouterr().out

    monkeypatch.setattr(provider_docs, "stale", list)
    assert main(["--check"]) == 0
