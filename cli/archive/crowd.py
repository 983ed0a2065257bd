"""Many things at once, told in their order: a table answers in milliseconds, and most of them are the way to it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import batched

WORKERS = 8


def together[T, R](
    things: Iterable[T], do: Callable[[T], R], *, size: int, first: Callable[[T], bool] = lambda _: True
) -> Iterator[tuple[T, R]]:
    """
    Do something with each of many things, several at once, no more than `size` of them in memory.

    Args:
        things: Taken as they are needed.
        do: Done in a thread. What it raises ends the whole, after what was under way has come to its end.
        size: Things that are taken together.
        first: Of those taken together, which are done before the others.

    Yields:
        Each thing with its result, in their order.
    """
    with ThreadPoolExecutor(WORKERS) as pool:
        for batch in batched(things, size, strict=False):
            results: dict[int, R] = {}
            for wave in (True, False):
                chosen = [at for at, thing in enumerate(batch) if first(thing) is wave]
                results |= zip(chosen, pool.map(do, _of(batch, chosen)), strict=True)
            yield from ((thing, results[at]) for at, thing in enumerate(batch))


def _of[T](batch: Sequence[T], chosen: Sequence[int]) -> list[T]:
    return [batch[at] for at in chosen]
