"""`stores.people` and `stores.list_pages`: pages of everybody, and the change an admin makes of another."""

from __future__ import annotations

from dataclasses import replace

import pytest

from grantkeeper.errors import Forbidden
from grantkeeper.model import Identity, User
from grantkeeper.services.change_user import By, give_role
from tests.stores.records import NOON, event, race


def add(world, sub, **changes):
    user = replace(User(sub, NOON, NOON, email=f"{sub}@example.com"), **changes)
    world.users.provision(user, Identity("https://idp.example", sub, sub, "example", NOON), audit=event("user.created"))
    return user


def pages(world, *, limit, **where):
    found, after = [], None
    for _ in range(40):
        page, after = world.people.page(email=where.pop("email", ""), where=where, after=after, limit=limit)
        assert len(page) <= limit
        found += [user.sub for user in page]
        if after is None:
            return found
    raise AssertionError("the list has no end")


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
def test_every_user_is_listed_once_whatever_the_page(world, limit):
    """In the order of the addresses, with a filter and without."""
    for number in range(5):
        add(world, f"usr_{number}", role="auditor" if number % 2 else "user")

    assert pages(world, limit=limit) == [f"usr_{number}" for number in range(5)]
    assert pages(world, limit=limit, role="auditor") == ["usr_1", "usr_3"]


def test_a_page_reads_a_bounded_number_of_users(memory):
    """Where nobody fits, a page is empty and says where to go on, instead of reading everybody."""
    for number in range(40):
        add(memory, f"usr_{number:02d}")
    memory.aws.dynamodb.page_size = 5

    found, after = memory.people.page(email="", where={"role": "admin"}, after=None, limit=10)

    assert (found, after) == ([], "usr_19@example.com#usr_19")
    assert pages(memory, limit=10, role="admin") == []


def test_t10_two_admins_who_take_each_others_role_at_once_leave_one(world):
    """Each write stands on the other's record."""
    for name in ("one", "two"):
        add(world, f"usr_{name}", role="admin")

    def take(number):
        own, other = ("usr_one", "usr_two")[:: 1 - 2 * (number % 2)]
        by = By(f"user:{own}", own)
        return give_role(other, "user", by=by, users=world.users, changing=world.people, now=NOON)

    outcomes = race(4, take)

    assert sorted(world.users.get(f"usr_{name}").role for name in ("one", "two")) == ["admin", "user"]
    assert any(isinstance(outcome, Forbidden) for outcome in outcomes)
