"""The model sits at a desk: one thread answers one request at a time, some wait, and others are sent away."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

from fastapi import Request

from scoresim.web.limits import Limits
from scoresim.web.refusal import Refusal, later

T = TypeVar("T")


class Desk:
    """Who may come in, and the one thread that works.

    Args:
        limits: how many may be there, of one client and in all, and how long one of them may take.
    """

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._there: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._work: queue.SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def come_in(self, client: str) -> Visit:
        """A place for a request; to be left with `Visit.leave`.

        Raises:
            Refusal: there is none.
        """
        with self._lock:
            if self._there[client] >= self.limits.per_client:
                raise later(429, "You have too many requests here at once; wait for an answer, then ask again.")
            if self._there.total() > self.limits.waiting:
                raise later(503, "The server is busy; try again in a few seconds.")
            self._there[client] += 1
        return Visit(self, client)

    def free(self, client: str) -> None:
        """A request has left its place."""
        with self._lock:
            self._there[client] -= 1
            if not self._there[client]:
                del self._there[client]

    @property
    def visitors(self) -> int:
        """Requests that are there, the ones included that nobody waits for any more while they are worked on."""
        with self._lock:
            return self._there.total()

    @property
    def working(self) -> bool:
        """Whether the thread is there: after `close`, that it still computes."""
        return self._thread is not None and self._thread.is_alive()

    def submit(self, function: Callable[[], T]) -> Future[T]:
        """Have something done when all that came before is done."""
        if not self.working:
            # a daemon: a model that computes keeps no server from ending
            self._thread = threading.Thread(target=self._run, name="scoresim-desk", daemon=True)
            self._thread.start()
        future: Future[T] = Future()
        self._work.put((future, function))
        return future

    def close(self, last: Callable[[], object] | None = None, patience: float = 2.0) -> None:
        """Begin nothing more, and wait a little for what is going on.

        Args:
            last: done by the same thread in the end.
            patience: seconds.
        """
        thread = self._thread
        if thread is None or not thread.is_alive():
            return
        if last is not None:
            self.submit(last)
        self._work.put(None)
        thread.join(patience)

    def _run(self) -> None:
        while (task := self._work.get()) is not None:
            future, function = task
            if not future.set_running_or_notify_cancel():
                continue
            try:
                result = function()
            except BaseException as error:  # whatever it is, it is told to the one who asked
                future.set_exception(error)
            else:
                future.set_result(result)
            del task, future, function


class Visit:
    """A request that has a place. The place is free again when the request has left and its work has ended."""

    def __init__(self, desk: Desk, client: str) -> None:
        self._desk, self._client = desk, client
        self._future: Future[Any] | None = None

    def leave(self) -> None:
        """Give the place back, or let the work do it that cannot be stopped any more."""
        free = self._desk.free
        if self._future is None or self._future.cancel():
            free(self._client)
        else:
            client = self._client
            self._future.add_done_callback(lambda _: free(client))

    async def work(self, function: Callable[[], T], request: Request) -> T:
        """What a function gives that is run by the thread of the desk.

        Args:
            function: without arguments.
            request: whose body was read; when its client goes away, nobody waits for the work any more.

        Raises:
            Refusal: it took too long, or nobody is there any more.
            Exception: whatever the function raises.
        """
        self._future = future = self._desk.submit(function)
        answer = asyncio.wrap_future(future)
        gone = asyncio.ensure_future(_gone(request))
        try:
            seconds = self._desk.limits.seconds
            both: set[asyncio.Future[Any]] = {answer, gone}
            done, _ = await asyncio.wait(both, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
            if answer in done:
                return answer.result()
            if gone in done:
                raise Refusal(400, "The connection ended.")  # nobody is there to read it
            raise Refusal(504, f"This took longer than {seconds:g} seconds and was given up; give a shorter piece.")
        finally:
            gone.cancel()
            answer.cancel()


async def _gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
