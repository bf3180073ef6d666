"""`acutance serve`: the HTTP API."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from acutance.cli.console import needs_extra, say
from acutance.cli.options import Engine, MaxPixels, Threads
from acutance.engines.engine import Ensemble
from acutance.errors import ConfigError
from acutance.folders import user_folder

if TYPE_CHECKING:
    from acutance.server.access import Access
    from acutance.server.running import Certificate


AccessLog = Literal["none", "text", "json"]
"""How requests are logged."""

LOOPBACK = "127.0.0.1"
PORT = 8090


def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on; one that others can reach needs --token-file.")
    ] = LOOPBACK,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 takes a free one.")] = PORT,
    token_file: Annotated[
        Path | None, typer.Option("--token-file", help="File of tokens, one a line; a request must bring one.")
    ] = None,
    no_token: Annotated[
        bool, typer.Option("--no-token", help="Let everybody in who can reach the address, without a token.")
    ] = False,
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder for jobs and their pictures; default: the user's own.")
    ] = None,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model", "-m", help="Model to offer, a name or an .onnx file; repeatable; default: all shipped."
        ),
    ] = None,
    engine: Engine = "auto",
    threads: Threads = None,
    runs: Annotated[
        int, typer.Option(min=1, help="Pictures worked on at once; one uses every core, more cost memory.")
    ] = 1,
    max_pixels: MaxPixels = None,
    max_megabytes: Annotated[float, typer.Option(min=0.001, max=1e9, help="Refuse larger uploads.")] = 256.0,
    queue: Annotated[
        int, typer.Option(min=1, help="Pictures of all clients that may wait or be worked on at once.")
    ] = 256,
    max_ensemble: Annotated[
        Ensemble,
        typer.Option(help="Most orientations that clients may have the mean of, each a run; 1 forbids it."),
    ] = 8,
    max_memory: Annotated[
        int, typer.Option(min=500, help="Memory of one worker in MB; one that takes more is ended.")
    ] = 3000,
    drain: Annotated[
        float,
        typer.Option(min=0.1, help="Seconds that work may go on when the server is asked to stop; then jobs go back."),
    ] = 1.0,
    keep_hours: Annotated[float, typer.Option(min=0.01, help="How long results of jobs are kept.")] = 24.0,
    allow_host: Annotated[
        list[str] | None,
        typer.Option("--allow-host", help="Name by which clients may call a server without tokens; repeatable."),
    ] = None,
    proxy: Annotated[
        list[str] | None,
        typer.Option(
            "--proxy", help="Address or network of a reverse proxy whose word about the client counts; repeatable."
        ),
    ] = None,
    access_log: Annotated[
        AccessLog, typer.Option(help="A line for each request on the standard error: for people, as JSON, or none.")
    ] = "none",
    webhook_host: Annotated[
        list[str] | None,
        typer.Option(
            "--webhook-host",
            help="Name, with a port where it is not 443, that jobs may have told when they are over; repeatable.",
        ),
    ] = None,
    webhook_secret_file: Annotated[
        Path | None, typer.Option("--webhook-secret-file", help="File of the secret by which webhooks are signed.")
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option("--tls-cert", help="PEM file of a certificate, to speak TLS.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option("--tls-key", help="PEM file of its key.")] = None,
) -> None:
    """Serve the web page and the HTTP API on this machine.

    Jobs and their results are kept in a folder and survive the process. After Ctrl-C, work that takes longer than
    --drain is left to the next server.
    """
    with needs_extra("serve", "acutance serve"):
        from acutance.server.access_log import log_to_stderr
        from acutance.server.app import create_app
        from acutance.server.file_limit import with_files
        from acutance.server.limits import HOUR_S, Limits
        from acutance.server.models import ModelSettings, OpenedModels
        from acutance.server.running import listen, make_server
        from acutance.server.webhooks import WebhookPolicy

    os.umask(0o077)  # pictures and the list of jobs are nobody else's business
    log_to_stderr(access_log)
    access = _access(host, token_file, is_open=no_token, names=allow_host or [])
    certificate = _certificate(tls_cert, tls_key)
    webhooks = WebhookPolicy.of(webhook_host or (), webhook_secret_file)
    usual = Limits()
    limits = with_files(
        replace(
            usual,
            max_pixels=max_pixels or usual.max_pixels,
            max_body_bytes=round(max_megabytes * 2**20),
            max_queue=queue,
            max_queue_per_client=max(1, queue // 2),
            runs=runs,
            keep_s=keep_hours * HOUR_S,
            worker_bytes=max_memory * 10**6,
            drain_s=drain,
            max_ensemble=max_ensemble,
        )
    )
    models = OpenedModels(
        ModelSettings(
            names=tuple(model or ()),
            engine=engine,
            threads=threads,
            max_pixels=limits.max_pixels,
            max_memory_mb=max_memory,
        )
    )
    folder = data or default_folder()
    with listen(host, port) as listener:
        try:
            app = create_app(models, folder=folder, limits=limits, access=access, webhooks=webhooks)
        except OSError as error:
            raise ConfigError(f"{folder}: cannot be used ({error.strerror}); give another with --data.") from error
        server = make_server(app, limits, certificate=certificate, proxies=tuple(proxy or ()))
        address, taken = listener.getsockname()[:2]
        shown = f"[{address}]" if ":" in address else address
        say(f"acutance serves on {'https' if certificate else 'http'}://{shown}:{taken} (Ctrl-C ends it)")
        server.run(sockets=[listener])


def default_folder() -> Path:
    """Return where jobs lie unless another folder is given."""
    return user_folder("state", what="jobs", remedy="name a folder (--data)") / "serve"


def _access(host: str, token_file: Path | None, *, is_open: bool, names: list[str]) -> Access:
    from acutance.server.access import Access, is_loopback, read_token_file

    if token_file is not None and is_open:
        raise ConfigError("--token-file and --no-token: exclude each other; leave one out.")
    if token_file is None and not is_open and not is_loopback(host):
        raise ConfigError(
            f"host {host}: others can reach it, and so could use this server; give --token-file FILE, or --no-token if "
            "everybody there may."
        )
    return Access.with_tokens(read_token_file(token_file) if token_file else (), host_names=names)


def _certificate(chain: Path | None, key: Path | None) -> Certificate | None:
    from acutance.server.running import Certificate

    if (chain is None) != (key is None):
        raise ConfigError("--tls-cert and --tls-key: belong together; give both or none.")
    return None if chain is None or key is None else Certificate(chain=chain, key=key)
