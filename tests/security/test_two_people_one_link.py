"""
Two people, one link (C-32, C-33, T-15): neither a forwarded link, nor a fixed session, nor a stolen confirmation
attaches one person's account to another person.

Mallory wants either his account in Alice's list, so that her files end up with him, or her account in his list, so that
he reads them. Each test plays one attempt to its end and looks at both lists.
"""

from dataclasses import replace

import pytest

from grantkeeper import ids
from grantkeeper.errors import BrowserMismatch, ConfirmationRefused, ConnectSessionExpired, GrantkeeperError, NotFound
from grantkeeper.model import Principal
from tests.doubles.connect_world import ALICE, BACKEND, BOB, OTHER_BACKEND, WRITE, ConnectWorld
from tests.doubles.provider import Account

MALLORY = BOB
ALICES_ACCOUNT = Account("alice-at-provider", {"email": "alice@example.com"})
MALLORYS_ACCOUNT = Account("mallory-at-provider", {"email": "mallory@example.com"})

# How the two name themselves: signed in with Bearer tokens, or named by the client's backend with its API key.
SIGNED_IN = ((ALICE, {}), (MALLORY, {}))
BY_KEY = ((BACKEND, {"user_id": "alice"}), (BACKEND, {"user_id": "mallory"}))
pytestmark = pytest.mark.parametrize(("alice", "mallory"), [SIGNED_IN, BY_KEY], ids=["signed in", "by API key"])


@pytest.fixture
def world():
    return ConnectWorld()


def sub_of(world, person):
    principal, names = person
    if principal.kind == "user":
        return principal.sub
    identity = world.wiring.users.find("client:app", names["user_id"])
    return None if identity is None else identity.sub


def accounts_of(world, person):
    sub = sub_of(world, person)
    return set() if sub is None else {c.account_id for c in world.wiring.connections.list_for_user(sub)}


def opens(world, person):
    principal, names = person
    return world.open(principal, **names)


def confirms(world, back, person):
    principal, names = person
    return world.confirm(back, principal, **names)


def nothing_usable(world, back):
    session = world.wiring.connect_sessions.get(back.session, now=world.now)
    assert session.status == "ended"
    connection_id = session.pending_connection_id
    assert world.wiring.connections.get(connection_id) is None
    assert world.wiring.grants.get(connection_id) is None
    assert world.wiring.connections.pending(connection_id, back.session, now=world.now) is None
    assert world.queued()[-1]["ids"] == [[connection_id, 0]], "its tokens are on their way out at the provider"


def test_c32_a_forwarded_link_gives_mallory_nothing(world, alice, mallory):
    """
    Mallory opens a session for himself and sends Alice the link; she consents with her account. Her client confirms
    for her, who is signed in there: she is not the session's user.
    """
    opened = opens(world, mallory)
    back = world.come_back(world.follow(opened, browser="alice's"), account=ALICES_ACCOUNT)

    with pytest.raises(ConfirmationRefused):
        confirms(world, back, alice)

    assert accounts_of(world, alice) == accounts_of(world, mallory) == set()
    nothing_usable(world, back)


def test_c32_after_the_refusal_mallory_cannot_confirm_himself(world, alice, mallory):
    """Even had he seen Alice's confirmation over her shoulder: the session is over."""
    back = world.come_back(world.follow(opens(world, mallory), browser="alice's"), account=ALICES_ACCOUNT)
    with pytest.raises(ConfirmationRefused):
        confirms(world, back, alice)

    with pytest.raises(ConnectSessionExpired):
        confirms(world, back, mallory)
    assert accounts_of(world, mallory) == set()


def test_c32_mallory_cannot_guess_while_alice_is_on_her_way(world, alice, mallory):
    """He knows the session's id, not the confirmation that only her browser got; one guess ends the session."""
    opened = opens(world, mallory)
    back = world.come_back(world.follow(opened, browser="alice's"), account=ALICES_ACCOUNT)

    with pytest.raises(ConfirmationRefused):
        confirms(world, replace(back, confirmation=ids.new_secret()), mallory)
    assert accounts_of(world, mallory) == set()
    nothing_usable(world, back)


def test_c32_waiting_gives_mallory_nothing(world, alice, mallory):
    """Without a confirmation the session stays unconfirmed for ever, and its tokens go."""
    back = world.come_back(world.follow(opens(world, mallory), browser="alice's"), account=ALICES_ACCOUNT)
    world.now += 600

    with pytest.raises(ConnectSessionExpired):
        confirms(world, back, mallory)
    session_item = next(i for i in world.wiring.aws.dynamodb.dump("grants") if i["sk"]["S"].startswith("PENDING#"))
    over = world.now + 61  # a minute later, for whoever confirms by a slower clock
    due = [d for shard in range(4) for d in world.wiring.grants.due(shard, before=over, limit=10)]
    assert {d.connection_id for d in due} == {session_item["pk"]["S"].removeprefix("CONNECTION#")}


def test_c33_a_fixed_session_does_not_put_mallorys_account_into_alices_list(world, alice, mallory):
    """
    Alice opened a session; Mallory got hold of its link and consented with his account. His browser lands at the
    client, where he is signed in as himself: refused, and over for Alice's browser as well.
    """
    opened = opens(world, alice)
    back = world.come_back(world.follow(opened, browser="mallory's"), account=MALLORYS_ACCOUNT)

    with pytest.raises(ConfirmationRefused):
        confirms(world, back, mallory)

    with pytest.raises(ConnectSessionExpired):
        confirms(world, back, alice)
    assert accounts_of(world, alice) == set()
    nothing_usable(world, back)


def test_c33_a_trip_begun_in_one_browser_is_not_finished_in_another(world, alice, mallory):
    """
    Mallory starts the trip, keeps it, and lets Alice's browser finish it at the callback; or the other way round.
    Nothing is consumed, so the browser that left may still come back.
    """
    trip = world.follow(opens(world, mallory), browser="mallory's")
    answer = world.provider.consent(trip.url, account=ALICES_ACCOUNT)

    for stranger in ("alice's", None):
        with pytest.raises(BrowserMismatch):
            world.call_back(answer, browser=stranger)
    assert accounts_of(world, alice) == accounts_of(world, mallory) == set()
    assert "confirmation=" in world.call_back(answer, browser="mallory's")


@pytest.mark.xfail(strict=True, raises=AssertionError, reason="docs/security-model.md, 'The link that leaks unopened'")
def test_c33_known_gap_mallory_comes_back_first_and_lets_alice_land(world, alice, mallory):
    """
    Mallory has Alice's link before she opened it, consents with his account, and lures her signed-in browser to the
    page he was redirected to; her client confirms for her. Nothing that we see tells the two browsers apart: only the
    client sees both the page that sent her off and the page she lands on.
    """
    opened = opens(world, alice)
    back = world.come_back(world.follow(opened, browser="mallory's"), account=MALLORYS_ACCOUNT)

    confirms(world, back, alice)

    assert accounts_of(world, alice) == set()


def test_c32_a_stolen_confirmation_is_of_no_use_without_its_session(world, alice, mallory):
    """Mallory presents Alice's confirmation for a session of his own."""
    hers = world.come_back(world.follow(opens(world, alice)), account=ALICES_ACCOUNT)
    his = world.come_back(world.follow(opens(world, mallory)), account=MALLORYS_ACCOUNT)

    with pytest.raises(ConfirmationRefused):
        confirms(world, replace(his, confirmation=hers.confirmation), mallory)
    assert accounts_of(world, mallory) == set()
    assert confirms(world, hers, alice).account_id == "alice-at-provider"


def test_c32_a_stolen_confirmation_and_session_are_of_no_use_to_another_user(world, alice, mallory):
    """Mallory presents all that Alice's redirect carried, as himself."""
    hers = world.come_back(world.follow(opens(world, alice)), account=ALICES_ACCOUNT)

    with pytest.raises(ConfirmationRefused):
        confirms(world, hers, mallory)
    assert accounts_of(world, alice) == accounts_of(world, mallory) == set()


def test_t15_another_client_confirms_nothing(world, alice, mallory):
    """Neither by its key nor for a user signed in at it, though the user be the same."""
    at_other_client = Principal("user", WRITE, client_id="other", sub=sub_of(world, alice) or "usr_alice")
    for intruder in ((at_other_client, {}), (OTHER_BACKEND, {"user_id": "alice"})):
        hers = world.come_back(world.follow(opens(world, alice)), account=ALICES_ACCOUNT)
        with pytest.raises(ConfirmationRefused):
            confirms(world, hers, intruder)
        nothing_usable(world, hers)


def test_t15_another_client_cannot_re_connect_anothers_connection(world, alice, mallory):
    """A connection id is no permission: it is bound to its user, and clients need his consent."""
    connection = world.connect(alice[0], names=alice[1], account=ALICES_ACCOUNT)

    with pytest.raises(NotFound):
        world.open(OTHER_BACKEND, user_id="alice", connection_id=connection.id)
    with pytest.raises(NotFound):
        world.open(mallory[0], **mallory[1], connection_id=connection.id)


def test_c32_no_answer_names_the_sessions_user(world, alice, mallory):
    """Whatever goes wrong, neither errors nor the other's own trail say whose session it was."""
    back = world.come_back(world.follow(opens(world, alice)), account=ALICES_ACCOUNT)

    with pytest.raises(GrantkeeperError) as refused:
        confirms(world, back, mallory)

    told = f"{refused.value} {refused.value.extensions}"
    owner = sub_of(world, alice)
    assert owner not in told
    assert owner not in repr(world.trail(sub_of(world, mallory) or "nobody"))


def test_c32_refused_tokens_are_dead_at_the_provider_too(world, alice, mallory):
    """What Alice consented to by mistake is taken back for her."""
    back = world.come_back(world.follow(opens(world, mallory), browser="alice's"), account=ALICES_ACCOUNT)
    (refresh_token,) = world.provider.live_refresh_tokens
    with pytest.raises(ConfirmationRefused):
        confirms(world, back, alice)

    world.work()

    assert world.provider.revoked_tokens == [refresh_token]
    assert world.provider.live_refresh_tokens == []
    assert not [i for i in world.wiring.aws.dynamodb.dump("grants") if i["sk"]["S"].startswith("PENDING#")]


def test_c32_a_refused_session_does_not_cut_off_what_alice_connected_herself(world, alice, mallory):
    """Her own connection shares the provider's grant: it is spared (the radius rule)."""
    connection = world.connect(alice[0], names=alice[1], account=ALICES_ACCOUNT)
    back = world.come_back(world.follow(opens(world, mallory), browser="alice's"), account=ALICES_ACCOUNT)
    with pytest.raises(ConfirmationRefused):
        confirms(world, back, alice)

    world.work()

    assert world.provider.revoked_tokens == []
    assert world.wiring.connections.get(connection.id).status == "active"
    assert not [i for i in world.wiring.aws.dynamodb.dump("grants") if i["sk"]["S"].startswith("PENDING#")]


def test_the_honest_way_works(world, alice, mallory):
    """Alice opens, Alice consents, Alice confirms; Mallory does the same beside her."""
    hers = world.come_back(world.follow(opens(world, alice), browser="hers"), account=ALICES_ACCOUNT)
    his = world.come_back(world.follow(opens(world, mallory), browser="his"), account=MALLORYS_ACCOUNT)

    assert confirms(world, hers, alice).status == confirms(world, his, mallory).status == "active"
    assert accounts_of(world, alice) == {"alice-at-provider"}
    assert accounts_of(world, mallory) == {"mallory-at-provider"}
