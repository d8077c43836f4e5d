"""Several looks at the same time: what one of them waits for costs the others nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet

from nodewise.answers.checks import Check
from nodewise.domain.errors import NodewiseError

Look = Callable[[], Iterable[Check]]


def side_by_side(looks: Mapping[str, Look], patience: float) -> Iterator[Check]:
    """What each finds, in the order given, each as soon as it and those before it are known.

    One that has found nothing after *patience* seconds is told as such, by its name.
    """
    if not looks:
        return
    pool = ThreadPoolExecutor(len(looks), thread_name_prefix="look")
    until = time.monotonic() + patience
    running = [(name, pool.submit(_found, look)) for name, look in looks.items()]
    for name, future in running:
        yield from _awaited(name, future, until, patience)
    pool.shutdown(wait=False, cancel_futures=True)


def _found(look: Look) -> list[Check]:
    return list(look())


def _awaited(name: str, future: Future[list[Check]], until: float, patience: float) -> list[Check]:
    try:
        return future.result(max(0.0, until - time.monotonic()))
    except NotYet:
        return [Check(name, False, f"no answer within {patience:g} s", "see whether it is there, and ask again")]
    except NodewiseError as error:
        return [Check(name, False, error.what, error.hint)]
