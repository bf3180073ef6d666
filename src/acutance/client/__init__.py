"""A client for `acutance serve`, in the standard library alone: importing it loads no other library.

```python
from pathlib import Path

from acutance.client import Client

sharp = Client("http://127.0.0.1:8090").sharpen("photo.jpg", strength=0.8)
Path("sharp.jpg").write_bytes(sharp.content)
```
"""

from __future__ import annotations

import http.client
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Literal
from urllib.parse import quote, unquote, urlencode, urlsplit

from acutance.client.values import RemoteJob, ServerRefused, SharpPicture, job_of, refusal_of
from acutance.errors import ConfigError

__all__ = ["Client", "RemoteJob", "ServerRefused", "SharpPicture"]

_SENDABLE = re.compile(r"[!-~]*")
"""What a path and a header can hold."""

TRY_AGAIN = frozenset((429, 503, 507))
"""Statuses that come with the time after which it is worth trying again."""


class Client:
    """Talks to one server; opens a connection for each call, and may be used from any threads."""

    def __init__(
        self, url: str, *, token: str | None = None, timeout_s: float = 600.0, patience_s: float = 60.0
    ) -> None:
        """Name the server.

        Args:
            url: Such as `http://127.0.0.1:8090`.
            token: What it asks for, if it does.
            timeout_s: Longest silence of the server.
            patience_s: How long a call waits, in all, where the server says that it is busy.

        Raises:
            ConfigError: When that is no address of a server, or the token is none.
        """
        try:
            parts = urlsplit(url)
            scheme, host, port = parts.scheme, parts.hostname or "", parts.port
            is_sendable = _SENDABLE.fullmatch(host.encode("idna").decode("ascii") + parts.path) is not None
            is_address = scheme in ("http", "https") and host != "" and is_sendable
        except (ValueError, AttributeError, TypeError):  # of a port that is none; what is no text
            is_address = False
        if not is_address:
            raise ConfigError(f"url {url!r}: must be like http://127.0.0.1:8090.")
        if token is not None and not (isinstance(token, str) and _SENDABLE.fullmatch(token)):
            raise ConfigError("token: must be of visible ASCII characters alone; take spaces and the line's end away.")
        self._connect = http.client.HTTPSConnection if scheme == "https" else http.client.HTTPConnection
        self._host, self._port, self._prefix = host, port, parts.path.rstrip("/")
        self._headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        self._timeout_s = timeout_s
        self._patience_s = patience_s

    def inspect(self, image: str | Path | bytes) -> dict[str, Any]:
        """Ask what is wrong with a picture, and whether sharpening helps: the fields of `acutance.Inspection`.

        Args:
            image: A path, or the content of a file.

        Raises:
            ServerRefused: When the server does not do it, or is not there.
            OSError: When the file cannot be read.
        """
        return self._json("POST", "/v1/inspect", image)

    def sharpen(
        self,
        image: str | Path | bytes,
        *,
        model: str | None = None,
        strength: float = 1.0,
        fidelity: float = 1.0,
        precision: str = "auto",
        format: str | None = None,
        motion: str | None = None,
        defocus: str | None = None,
        gaussian: str | None = None,
        region: str | None = None,
        ensemble: int = 1,
    ) -> SharpPicture:
        """Sharpen a picture and wait for it.

        Args:
            image: A path, or the content of a file.
            model: A name of `models`; None for the default.
            strength: 0 … 2.
            fidelity: 1 is true, 0 crisp.
            precision: `auto`, `float32`, `bfloat16` or `float16`, of which a server may not have all.
            format: Such as `png`; None for that of the picture.
            motion: Straight motion that blurred it, which is undone: `12px@30deg`.
            defocus: Or a lens out of focus: `3px`.
            gaussian: Or a Gaussian: `2px`.
            region: The part that is sharpened, `x,y,width,height`; None for all of it.
            ensemble: Mean over so many orientations, 1, 2, 4 or 8: nearer to the truth, in as many times the time.

        Raises:
            ServerRefused: When the server does not do it, or is not there.
            OSError: When the file cannot be read.
        """
        query = _query(
            model, strength, fidelity, precision, format, motion, defocus, gaussian, region, _several(ensemble)
        )
        headers, content = self._call("POST", f"/v1/sharpen?{query}", image)
        return SharpPicture(
            content=content,
            media_type=headers.get("content-type", ""),
            model=unquote(headers.get("acutance-model", "")) or None,
            seconds=float(headers["acutance-seconds"]) if "acutance-seconds" in headers else None,
            lost=tuple(unquote(words) for words in headers.get("acutance-lost", "").split(",") if words),
            found=tuple(unquote(words) for words in headers.get("acutance-found", "").split(",") if words),
        )

    def submit(
        self,
        image: str | Path | bytes,
        *,
        model: str | None = None,
        strength: float = 1.0,
        fidelity: float = 1.0,
        precision: str = "auto",
        format: str | None = None,
        motion: str | None = None,
        defocus: str | None = None,
        gaussian: str | None = None,
        region: str | None = None,
        ensemble: int = 1,
        report: bool = False,
        key: str | None = None,
    ) -> RemoteJob:
        """Leave a picture to be sharpened; see `sharpen`.

        Args:
            image: See `sharpen`, as the other options.
            model: See there, as for all that follow.
            strength: See there.
            fidelity: See there.
            precision: See there.
            format: See there.
            motion: See there.
            defocus: See there.
            gaussian: See there.
            region: See there.
            ensemble: See there.
            report: Keep the picture with its result, for `guesses` and `report`.
            key: A name of your own: submitting the same picture and options again with it gives the first job, so that
                nothing is done twice; another picture or option is refused.
        """
        query = _query(
            model, strength, fidelity, precision, format, motion, defocus, gaussian, region, _several(ensemble)
        )
        query += "&report=true" if report else ""
        return job_of(self._json("POST", f"/v1/jobs?{query}", image, {} if key is None else {"Idempotency-Key": key}))

    def job(self, job_id: str) -> RemoteJob:
        """Return a job as it stands."""
        return job_of(self._json("GET", f"/v1/jobs/{quote(job_id, safe='')}"))

    def wait(self, job_id: str, *, progress: Callable[[float], None] | None = None, every_s: float = 0.5) -> RemoteJob:
        """Wait until a job is done, and raise if it did not succeed.

        Args:
            job_id: Which.
            progress: Called with the share done.
            every_s: Between two questions.

        Raises:
            ServerRefused: When it failed or was cancelled, with its sentence.
        """
        while not (job := self.job(job_id)).is_final:
            if progress is not None:
                progress(job.progress)
            time.sleep(every_s)
        if job.state != "done":
            raise ServerRefused(200, job.error or job.state, job.detail or f"the job is {job.state}.")
        if progress is not None:
            progress(1.0)
        return job

    def watch(self, job_id: str) -> Iterator[RemoteJob]:
        """Yield a job at every change, by server-sent events, until it stays as it is or the server stops."""
        with closing(self._open()) as connection, self._unbroken():
            path = f"/v1/jobs/{quote(job_id, safe='')}/events"
            with self._ask(connection, "GET", path, None, {}) as response:  # may outlive its connection
                if response.status != http.client.OK:
                    raise refusal_of(response.status, response.read())
                for line in response:
                    if line.startswith(b"data:") and line.endswith(b"\n"):
                        yield job_of(json.loads(line[5:]))

    def result(self, job_id: str) -> SharpPicture:
        """Return a finished job's picture."""
        headers, content = self._call("GET", f"/v1/jobs/{quote(job_id, safe='')}/result")
        return SharpPicture(content=content, media_type=headers.get("content-type", ""))

    def guesses(self, job_id: str) -> bytes:
        """Return the map of guesses of a finished job that was submitted with `report`: a PNG, of the result's size.

        Raises:
            ServerRefused: Also where there is none: nothing was changed, or the file holds several pictures.
        """
        return self._call("GET", f"/v1/jobs/{quote(job_id, safe='')}/map")[1]

    def report(self, job_id: str, *, format: Literal["json", "html"] = "json") -> bytes:
        """Return the record of a finished job that was submitted with `report`, as a file: `acutance verify` checks it.

        Args:
            job_id: Which.
            format: JSON, or a page to read.
        """
        return self._call("GET", f"/v1/jobs/{quote(job_id, safe='')}/report?format={format}")[1]

    def jobs(self, *, page: int = 100) -> Iterator[RemoteJob]:
        """Yield the jobs that were posted with this client's token, newest first.

        Args:
            page: How many are asked for at a time, 1 … 100.

        Raises:
            ServerRefused: Also where the server asks for no token: nobody's jobs are listed then.
        """
        cursor: str | None = ""
        while cursor is not None:
            query = urlencode({"limit": page, **({"cursor": cursor} if cursor else {})})
            found = self._json("GET", f"/v1/jobs?{query}")
            yield from map(job_of, found["jobs"])
            cursor = found["next"]

    def cancel(self, job_id: str) -> RemoteJob:
        """Cancel a job that is not done; remove the result of one that is."""
        return job_of(self._json("DELETE", f"/v1/jobs/{quote(job_id, safe='')}"))

    def models(self) -> tuple[str, ...]:
        """Return the names of the models; the first is the default."""
        return tuple(model["name"] for model in self._json("GET", "/v1/models")["models"])

    def _json(
        self, method: str, path: str, image: str | Path | bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._call(method, path, image, headers)[1])
        return found

    def _call(
        self, method: str, path: str, image: str | Path | bytes | None = None, headers: Mapping[str, str] | None = None
    ) -> tuple[dict[str, str], bytes]:
        """Ask, again and again while the server says that it is busy; return the answer's headers and body."""
        end = time.monotonic() + self._patience_s
        while True:
            status, answered, content = self._once(method, path, image, headers or {})
            if status < http.client.MULTIPLE_CHOICES:
                return answered, content
            asked = answered.get("retry-after", "")  # a proxy may give a date, which no clock need agree with
            if status not in TRY_AGAIN or not asked.isdecimal() or time.monotonic() + float(asked) > end:
                raise refusal_of(status, content)
            time.sleep(float(asked))

    def _once(
        self, method: str, path: str, image: str | Path | bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, dict[str, str], bytes]:
        with closing(self._open()) as connection:
            if isinstance(image, (str, Path)):
                with open(image, "rb") as file:
                    response = self._ask(connection, method, path, file, headers)
            else:
                response = self._ask(connection, method, path, image, headers)
            with self._unbroken(), response:
                content = response.read()
            return response.status, {name.lower(): value for name, value in response.getheaders()}, content

    @contextmanager
    def _unbroken(self) -> Iterator[None]:
        """Read an answer.

        Raises:
            ServerRefused: When it breaks off.
        """
        try:
            yield
        except (OSError, http.client.HTTPException) as error:
            raise ServerRefused(0, "broken_off", f"{self._host}: broke the answer off ({error}).") from error

    def _open(self) -> http.client.HTTPConnection:
        return self._connect(self._host, self._port, timeout=self._timeout_s)

    def _ask(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: BinaryIO | bytes | None,
        headers: Mapping[str, str],
    ) -> http.client.HTTPResponse:
        all_headers = {**self._headers, **headers}
        if body is not None:
            all_headers["Content-Type"] = "application/octet-stream"
        try:
            connection.request(method, self._prefix + path, body, all_headers)
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused before all was sent; the answer says why, if it got through
        except OSError as error:
            raise ServerRefused(0, "not_reached", f"{self._host}: cannot be reached ({error}).") from error
        try:
            return connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            raise ServerRefused(0, "broken_off", f"{self._host}: gave no answer ({error}).") from error


def _query(*values: str | float | None) -> str:
    names = (
        "model",
        "strength",
        "fidelity",
        "precision",
        "format",
        "motion",
        "defocus",
        "gaussian",
        "region",
        "ensemble",
    )
    return urlencode({name: value for name, value in zip(names, values, strict=True) if value is not None})


def _several(ensemble: int) -> int | None:
    """Return a number of orientations as an option: none for one, so that servers of before understand it."""
    return None if ensemble == 1 else ensemble
