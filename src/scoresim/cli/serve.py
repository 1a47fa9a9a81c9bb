"""The command that opens a page of one's own: serve."""

import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from scoresim.cli.output import Json, results_only, show_json
from scoresim.cli.use import Model, load
from scoresim.web.limits import Limits

__all__ = ["serve"]

_LIMITS = Limits()


def serve(
    *,
    model: Model = "small",
    host: Annotated[str, Parameter(help="Address of this machine; 0.0.0.0 lets other machines in.")] = "127.0.0.1",
    port: Annotated[int, Parameter(help="Port; 0 for one that is free.")] = 8000,
    name: Annotated[
        tuple[str, ...],
        Parameter(
            help="Name under which browsers reach the server, as behind a reverse proxy; may be given again.",
            show_default=False,
        ),
    ] = (),
    index: Annotated[
        str | None, Parameter(help="Collection that can be searched: a folder, or postgresql://user@host/name.")
    ] = None,
    folder: Annotated[
        Path | None, Parameter(help="Folder that was indexed: the first answers are then read together with the query.")
    ] = None,
    limits: Annotated[Limits, Parameter(name="*")] = _LIMITS,
    json: Json = False,
) -> None:
    """Open a page in the browser to which files are given, and the same for programs, until Ctrl+C."""
    from scoresim.web.server import address_of, end, hosts_of, listen, server_of, until_signal

    with until_signal(), listen(host, port) as socket:
        with results_only():
            from scoresim.web.app import make_app

            sim = load(model)
            page = make_app(sim, index, folder, limits, hosts_of(socket, name))
            server = server_of(page)
        address = address_of(socket)
        if json:
            show_json({"address": address, "openapi": f"{address}/api/openapi.json", "index": index})
        else:
            print(f"scoresim is at {address} (Ctrl+C ends it).")
        sys.stdout.flush()
        try:
            server.run(sockets=[socket])
        finally:
            sim.workers.close()
            end(page)
