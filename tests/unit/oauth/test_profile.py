"""Profiles by the records' rules."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grantkeeper.errors import TokenResponseRejected
from grantkeeper.model import Profile
from grantkeeper.oauth.profile import account_shown, resolve_profile
from grantkeeper.oauth.token_response import kept_claims
from grantkeeper.providers.catalog import Catalog
from grantkeeper.providers.github import GITHUB
from grantkeeper.providers.google import GOOGLE
from grantkeeper.providers.microsoft import MICROSOFT
from grantkeeper.providers.openid import OPENID
from grantkeeper.providers.record import ProfileRule

CLAIMS = {
    "sub": "user-1",
    "email": "ada@acme.example",
    "email_verified": True,
    "name": "Ada",
    "picture": "https://img.example/ada.png",
    "locale": "en-GB",
}
USER = {"id": 583231, "login": "octocat", "name": None, "avatar_url": "https://avatars.example/1", "email": None}
EMAILS = [
    {"email": "old@acme.example", "primary": False, "verified": True},
    {"email": "ada@acme.example", "primary": True, "verified": True},
]


def profile(provider=GOOGLE, claims=CLAIMS, token_response=None, **answers):
    return resolve_profile(provider, id_claims=claims, token_response=token_response or {}, answers=answers)


def test_an_id_token_is_a_whole_profile():
    """Google's, with an address Google verified."""
    assert profile() == Profile(
        provider_user_id="user-1",
        email="ada@acme.example",
        email_verified=True,
        name="Ada",
        avatar_url="https://img.example/ada.png",
        locale="en-GB",
    )


def test_userinfo_stands_in_where_the_id_token_is_silent():
    """Places are tried in order."""
    found = profile(claims={"sub": "user-1"}, userinfo=CLAIMS | {"name": "Other"})

    assert (found.email, found.email_verified, found.name) == ("ada@acme.example", True, "Other")


@pytest.mark.parametrize("value", ["true", "True", 1, "1", None, [], {"value": True}, False])
def test_c101_only_a_true_truth_verifies_an_address(value):
    """The text "true" is not true."""
    assert profile(claims=CLAIMS | {"email_verified": value}).email_verified is False


def test_c101_a_provider_whose_word_does_not_count_verifies_nothing():
    """The generic record: the deployment decides whose word it takes."""
    assert profile(OPENID).email == "ada@acme.example"
    assert profile(OPENID).email_verified is False


def test_c101_one_source_does_not_vouch_for_anothers_address():
    """An address from userinfo is not verified by the ID token's claim."""
    found = profile(
        claims={"sub": "user-1", "email_verified": True}, userinfo={"sub": "user-1", "email": "a@b.example"}
    )

    assert (found.email, found.email_verified) == ("a@b.example", False)


def test_github_takes_the_primary_verified_address_and_the_number_as_id():
    """`login` may change hands, `email` of the user is often null."""
    found = profile(GITHUB, None, user=USER, emails=EMAILS)

    assert found == Profile("583231", "ada@acme.example", True, "octocat", "https://avatars.example/1")


@pytest.mark.parametrize(
    "emails",
    [
        None,
        {},
        [],
        [{"email": "a@b.example", "primary": True, "verified": False}],
        [{"email": "a@b.example", "primary": False, "verified": True}],
        [{"email": "a@b.example", "primary": "true", "verified": "true"}],
        [None, 7, "a@b.example", {"primary": True, "verified": True}],
    ],
)
def test_github_without_a_primary_verified_address_has_none(emails):
    """Rather none than another's."""
    found = profile(GITHUB, None, user=USER | {"email": "public@acme.example"}, emails=emails)

    assert (found.email, found.email_verified) == (None, False)


TID, OID = "9188040d-6c67-4c5b-b112-36a304b66dad", "00000000-0000-0000-66f3-3332eca7ea81"


def microsoft(claims, **answers):
    return profile(MICROSOFT, claims, metadata=kept_claims(claims, provider=MICROSOFT), **answers)


def test_microsoft_accounts_are_named_by_tenant_and_object():
    """Never by address, which any tenant's admin can set (nOAuth)."""
    claims = {"sub": "pairwise", "tid": TID, "oid": OID, "email": "ceo@acme.example", "email_verified": True}
    found = microsoft(claims)

    assert (found.provider_user_id, found.email_verified) == (f"{TID}:{OID}", False)
    for said, verified in ((True, True), ("1", True), ("true", False), (False, False), ("0", False), (1, False)):
        assert microsoft(claims | {"xms_edov": said}).email_verified is verified


def test_c101_graphs_address_is_not_vouched_for_by_the_id_token():
    """The optional claim speaks of the address beside it."""
    claims = {"sub": "pairwise", "tid": TID, "oid": OID, "xms_edov": True}

    found = microsoft(claims, me={"mail": "ceo@acme.example", "preferredLanguage": "de-DE"})

    assert (found.email, found.email_verified, found.locale) == ("ceo@acme.example", False, "de-DE")


@pytest.mark.parametrize("missing", ["tid", "oid"])
def test_half_a_composed_id_is_no_id(missing):
    """`:oid` would be one account for all tenants."""
    claims = {"sub": "pairwise", "tid": TID, "oid": OID}
    for value in (None, "", True, ["a"], "a\nb"):
        with pytest.raises(TokenResponseRejected):
            microsoft(claims | {missing: value})


@pytest.mark.parametrize("sub", [None, "", True, 1.5, ["a"], {"a": 1}, "x" * 256, "a\x00b"])
def test_an_account_without_a_stable_id_is_refused(sub):
    """With a reason."""
    with pytest.raises(TokenResponseRejected) as caught:
        profile(claims=CLAIMS | {"sub": sub})
    assert caught.value.extensions == {"reason": "account_unknown"}


def test_the_token_response_can_name_the_account():
    """Asana, Notion, Dropbox."""
    rule = ProfileRule(
        id_template="user-{token_response#/owner/user/id}_workspace-{token_response#/workspace_id}",
        map={"name": ("token_response#/owner/user/name",)},
    )
    answer = {"workspace_id": "w1", "owner": {"user": {"id": "u1", "name": "Ada"}}}
    found = profile(replace(OPENID, profile=rule), None, answer)

    assert (found.provider_user_id, found.name) == ("user-u1_workspace-w1", "Ada")


@pytest.mark.parametrize(
    "email", ["ada", "a@b@c", "a b@c.example", "@b", "a@", "a@b\n", 7, ["a@b.example"], "a" * 65 + "@b"]
)
def test_what_is_no_address_is_left_out(email):
    """And does not count as verified."""
    found = profile(claims=CLAIMS | {"email": email})

    assert (found.email, found.email_verified) == (None, False)


@pytest.mark.parametrize(
    "url",
    ["http://img.example/a", "javascript:alert(1)", "data:image/png;base64,x", "//img.example", "https://a b/", "https://",
     "https://u:p@img.example/", "https://img.example/\n", "https://é.example", "https://[", 7,
     "https://a.example/" + "a" * 2048],
)  # fmt: skip
def test_what_is_no_https_picture_is_left_out(url):
    """It ends in somebody's page."""
    assert profile(claims=CLAIMS | {"picture": url}).avatar_url is None


def test_names_are_cleaned_of_what_does_not_print():
    """And cut at 200 characters."""
    assert profile(claims=CLAIMS | {"name": " A\x00d\u202ea\n "}).name == "Ada"
    assert len(profile(claims=CLAIMS | {"name": "a" * 999}).name) == 200
    assert profile(claims=CLAIMS | {"name": {"a": 1}}).name is None
    assert profile(claims=CLAIMS | {"locale": "en_US; drop"}).locale is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
)


@given(claims=st.dictionaries(st.sampled_from(sorted(CLAIMS)), JSON), user=JSON, emails=JSON)
def test_a_profile_is_sound_or_refused_whatever_a_provider_says(claims, user, emails):
    """No other exception, no unverified truth."""
    for provider in (GOOGLE, GITHUB, MICROSOFT):
        try:
            found = profile(provider, claims, user=user, emails=emails, userinfo=user)
        except TokenResponseRejected:
            continue
        assert found.provider_user_id
        assert not found.email_verified or found.email


SLACK = Catalog().get("slack")
KEPT = {"team_id": "T1", "user_id": "U1", "bot_user_id": "B1"}


@pytest.mark.parametrize(
    ("auth", "shown"),
    [
        ({"team_id": "T1", "user_id": "B1"}, True),  # asked with the bot's token
        ({"team_id": "T1", "user_id": "U1"}, True),  # with the person's own
        ({"team_id": "T2", "user_id": "B1"}, False),
        ({"team_id": "T1", "user_id": "U2"}, False),
        ({"team_id": "T1"}, None),
        ({}, None),
        (None, None),
    ],
)
def test_c57_whose_token_it_is_is_told_by_the_answer(auth, shown):
    """What was kept agrees with itself, whosever the token is."""
    assert account_shown(SLACK, account_id="T1_U1", answers={"auth": auth, "metadata": KEPT}, kept=KEPT) is shown


def test_c57_without_a_rule_the_answers_alone_name_the_account():
    """Dropbox falls back to what it said with the tokens: that shows nothing later."""
    dropbox, kept = Catalog().get("dropbox"), {"account_id": "dbid:1"}

    def told(**answers):
        return account_shown(dropbox, account_id="dbid:1", answers=answers, kept=kept)

    assert told(me={"account_id": "dbid:1"}) is True
    assert told(me={"account_id": "dbid:2"}) is False
    assert told(me=None) is None


@pytest.mark.parametrize(
    ("claim", "kept"),
    [("t", {"tid": "t"}), ("", {}), (None, {}), (7, {}), (["t"], {}), ({"a": 1}, {}), ("x" * 256, {})],
)
def test_only_short_texts_are_kept_of_an_id_token(claim, kept):
    """They are carried along through every refresh."""
    assert kept_claims({"tid": claim, "name": "Ada"}, provider=MICROSOFT) == kept
