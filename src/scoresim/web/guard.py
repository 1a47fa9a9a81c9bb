"""Around every request: under which name it was asked, by whose page, and the headers that every answer has."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection

from fastapi.responses import Response
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from scoresim.web.refusal import Refusal, as_response, later

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
POLICY = {
    "default-src": "'none'",
    "script-src": "'self' 'wasm-unsafe-eval'",
    "style-src": "'self'",
    "img-src": "'self' data: blob:",
    "font-src": "'self' data:",
    "media-src": "'self' data: blob:",
    "worker-src": "'self' blob:",
    "connect-src": "'self'",
    "frame-src": "'self'",
    "form-action": "'self'",
    "base-uri": "'none'",
    "frame-ancestors": "'none'",
}
HEADERS = {
    "content-security-policy": "; ".join(f"{name} {sources}" for name, sources in POLICY.items()),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",  # with "no-referrer" a browser names no origin where its form leads to a page
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=()",
}

_logger = logging.getLogger("scoresim")


class Guard:
    """ASGI middleware.

    Args:
        app: what is guarded.
        hosts: names under which it may be asked, without ports; None for any. A page elsewhere can give its own
            name the address of this machine (DNS rebinding) and would then count as ours.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] | None) -> None:
        self.app = app
        self.hosts = None if hosts is None else {host.lower() for host in hosts}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started = False

        async def sent(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                still = scope["path"].startswith("/static/")  # a browser asks whether it has changed
                headers.setdefault("cache-control", "no-cache" if still else "no-store")
            await send(message)

        headers = Headers(scope=scope)
        try:
            self.judge(scope["method"], headers)
            await self.app(scope, receive, sent)
        except Refusal as refusal:
            await as_response(refusal, headers)(scope, receive, sent)
        except asyncio.CancelledError:  # the server ends, and does not wait any longer
            if not started:
                await as_response(later(503, "The server is ending; try again later."), headers)(scope, receive, sent)
            raise
        except Exception:
            _logger.exception("%s %s failed", scope["method"], scope["path"])
            if started:
                raise
            await self.own_error(headers)(scope, receive, sent)

    def judge(self, method: str, headers: Headers) -> None:
        """Refuse what a page of another origin asks.

        Raises:
            Refusal: the name is not ours, or the page is not.
        """
        host = headers.get("host", "").lower()
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdecimal() else host
        if self.hosts is not None and name not in self.hosts:
            raise Refusal(400, "This server is not known under this name; start it with --name to allow it.")
        if method in ("GET", "HEAD", "OPTIONS"):
            return
        site, origin = headers.get("sec-fetch-site"), headers.get("origin")
        if site is None:  # an older browser, or a program
            site = "none" if origin is None or origin.lower().partition("://")[2] == host else "cross-site"
        if site not in ("none", "same-origin"):
            raise Refusal(403, "Pages of other sites may not ask this server; use its own page.")

    def own_error(self, headers: Headers) -> Response:
        """What a visitor sees of a mistake of ours."""
        return as_response(Refusal(500, "The server made a mistake; its log says more."), headers)
