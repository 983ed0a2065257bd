"""Many at once: in their order, no more of them than were asked for, and the first error ends it."""

from __future__ import annotations

import threading

import pytest

from cli.archive.crowd import WORKERS, together


def test_results_come_in_the_order_of_what_they_are_of():
    """However long each one took."""
    hold = threading.Event()

    def do(number):
        if number % 4 == 0:
            hold.wait(0.02)
        return number * number

    assert list(together(range(50), do, size=7)) == [(number, number * number) for number in range(50)]


def test_no_more_are_taken_than_are_asked_for():
    """What comes after is not read before what came before is told."""
    taken = []

    def things():
        for number in range(100):
            taken.append(number)
            yield number

    told = together(things(), str, size=10)
    next(told)

    assert len(taken) == 10
    told.close()


def test_some_come_before_the_others_of_their_batch():
    """A user is there when his connection comes."""
    done, lock = [], threading.Lock()

    def do(thing):
        with lock:
            done.append(thing)

    list(together(["c1", "u1", "c2", "u2"], do, size=4, first=lambda thing: thing[0] == "u"))

    assert [thing[0] for thing in done] == ["u", "u", "c", "c"]


def test_several_are_under_way_at_once():
    """As many as there are workers."""
    gate = threading.Barrier(WORKERS, timeout=10)

    assert len(list(together(range(WORKERS), lambda _: gate.wait(), size=WORKERS))) == WORKERS


def test_an_error_ends_the_whole():
    """What was told before its batch stays told, and nothing of its batch is."""
    told = together(range(20), lambda number: 1 // (number - 13), size=5)
    seen = []

    with pytest.raises(ZeroDivisionError):
        seen.extend(thing for thing, _ in told)
    assert seen == list(range(10))
