"""Scopes of an answer, in the words they were asked for."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantkeeper.oauth.scopes import normalise_scopes
from grantkeeper.providers.record import Provider, ScopeRule

PROVIDER = Provider("example", "Example", "https://op.example/a", "https://op.example/t")
GRAPH = ScopeRule(
    strip_prefixes=("https://graph.microsoft.com/",), case_insensitive=True, never_returned=("offline_access",)
)


def scopes(value, requested=(), **rule):
    return normalise_scopes(replace(PROVIDER, scope=ScopeRule(**rule)), value, requested)


def test_c48_a_narrower_answer_grants_what_it_says():
    """The user may untick scopes: what is missing stays missing."""
    assert scopes("b", ("a", "b", "c")) == ("b",)
    assert scopes("", ("a", "b")) == ()


def test_c48_a_broader_answer_keeps_the_order_asked_and_appends_the_rest():
    """What came on top is visible."""
    assert scopes("x b a", ("a", "b")) == ("a", "b", "x")


def test_an_omitted_scope_means_what_the_record_says():
    """RFC 6749 section 5.1: omitted means identical, unless the provider is known to mean nothing by it."""
    assert scopes(None, ("a", "b")) == ("a", "b")
    assert scopes(None, ("a", "b"), omitted_means="unknown") == ()


def test_a_comma_in_the_answer_separates_where_the_record_says_so():
    """GitHub asks with spaces and answers with commas."""
    assert scopes("repo,gist", ("gist", "repo"), response_separator=",") == ("gist", "repo")
    assert scopes("a,b") == ("a,b",)


def test_an_alias_brings_back_the_short_name():
    """Google spells `email` out."""
    assert scopes(
        "openid https://www.googleapis.com/auth/userinfo.email",
        ("openid", "email"),
        aliases={"https://www.googleapis.com/auth/userinfo.email": "email"},
    ) == ("openid", "email")


def test_prefix_case_and_unreturned_scopes_follow_the_record():
    """Microsoft qualifies, recases and never lists offline_access."""
    provider = replace(PROVIDER, scope=GRAPH)

    assert normalise_scopes(
        provider, "https://graph.microsoft.com/mail.read openid", ("openid", "Mail.Read", "offline_access")
    ) == ("openid", "Mail.Read", "offline_access")
    assert normalise_scopes(provider, "Mail.Read", ("https://graph.microsoft.com/Mail.Read",)) == (
        "https://graph.microsoft.com/Mail.Read",
    )


@pytest.mark.parametrize("value", [7, True, {"a": 1}, [1, None, ["a"]], b"a"])
def test_what_is_no_scope_grants_nothing(value):
    """Odd types do not raise and do not grant."""
    assert scopes(value, ("a",)) == ()


def test_a_list_is_read_like_a_string():
    """Some servers answer an array."""
    assert scopes(["b", "a"], ("a", "b")) == ("a", "b")


@given(value=st.text(), requested=st.lists(st.text(min_size=1, max_size=8), max_size=4))
def test_normalising_twice_changes_nothing(value, requested):
    """Idempotent, whatever comes."""
    provider = replace(PROVIDER, scope=GRAPH)
    once = normalise_scopes(provider, value, requested)

    assert normalise_scopes(provider, list(once), requested) == once
    assert len(set(once)) == len(once)
