"""Uploads: the body of a request onto the disk, counted and timed while it comes in."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from starlette.requests import Request

from acutance.media import ImageFormat
from acutance.media.formats import READ_FORMATS, sniff_format
from acutance.media.unread import describe_unread
from acutance.server.files import Files, head_of
from acutance.server.form import OVERHEAD_BYTES, FormReader
from acutance.server.limits import Limits
from acutance.server.refusals import Refused, storage_refusal
from acutance.server.video_work import head_for_videos, is_video, takes_videos

WRITE_BYTES = 2**20
"""What is gathered before a write, which is done in a thread: a disk may be slow."""

TOLD_BYTES = 512
"""By so many it is told whether a file came as it is."""

_LEFT_OUT = frozenset(b"\0\r\n")


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A picture that was taken in."""

    path: Path
    filename: str
    """As its client calls it: for people only, never a path."""
    bytes: int
    digest: str
    """SHA-256 of the picture, in hexadecimal digits."""
    format: ImageFormat | None
    """By its content; None for a video."""


async def receive_upload(request: Request, files: Files, limits: Limits) -> Upload:
    """Take a picture in: the field `file` of a multipart form, or the body itself.

    Returns:
        What came; its file is the caller's to remove.

    Raises:
        Refused: When it is too large, too slow, cut off, malformed or not a picture, or cannot be stored. Nothing is
            left behind then.
    """
    _check_head(request, limits)
    content_type = request.headers.get("content-type", "")
    kind = content_type.partition(";")[0].strip().lower()
    form = FormReader(content_type) if kind == "multipart/form-data" else None
    path = files.new_passing()
    try:
        count, digest = await _store(request, path, form, limits)
        if form is not None:
            form.finish()
        if kind == "application/x-www-form-urlencoded":  # what curl says of --data-binary, too
            await asyncio.to_thread(_check_untouched, path)
        format_ = await asyncio.to_thread(_recognised, path)
    except OSError as error:
        files.remove(path)
        raise storage_refusal(error) from error
    except BaseException:
        files.remove(path)
        raise
    return Upload(path=path, filename="" if form is None else form.filename, bytes=count, digest=digest, format=format_)


def _check_head(request: Request, limits: Limits) -> None:
    """Refuse by its head what needs not be read."""
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise Refused(415, "bad_request", "Content-Encoding: a body is taken as it is, not compressed; leave it out.")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > limits.max_body_bytes + OVERHEAD_BYTES:
        raise _too_large(limits)


async def _store(request: Request, path: Path, form: FormReader | None, limits: Limits) -> tuple[int, str]:
    """Write the picture's bytes to a path; return their number and their SHA-256."""
    count = 0
    digest = hashlib.sha256()
    gathered = bytearray()
    with await asyncio.to_thread(path.open, "xb") as file:
        async for data in _timed_body(request, limits):
            found = data if form is None else form.feed(data)
            count += len(found)
            if count > limits.max_body_bytes:
                raise _too_large(limits)
            gathered += found
            if len(gathered) >= WRITE_BYTES:
                await asyncio.to_thread(_write, file, gathered, digest)
                gathered = bytearray()
        await asyncio.to_thread(_write, file, gathered, digest)
        await asyncio.to_thread(file.flush)
    return count, digest.hexdigest()


def _write(file: BinaryIO, data: bytearray, digest: hashlib._Hash) -> None:
    digest.update(data)
    file.write(data)


async def _timed_body(request: Request, limits: Limits) -> AsyncIterator[bytes]:
    """Give the pieces of a body, as long as they come fast enough and are not too many."""
    start = time.monotonic()
    count = 0
    is_over = False
    while not is_over:
        end = start + limits.body_grace_s + count / limits.body_bytes_per_s
        try:
            async with asyncio.timeout(max(0.0, end - time.monotonic())):
                message = await request.receive()
        except TimeoutError:
            raise Refused(408, "body_too_slow", "the upload came too slowly; try again on a faster line.") from None
        if message["type"] == "http.disconnect":
            raise Refused(400, "bad_request", "the upload was broken off.")
        data: bytes = message.get("body", b"")
        is_over = not message.get("more_body", False)
        count += len(data)
        if count > limits.max_body_bytes + OVERHEAD_BYTES:
            raise _too_large(limits)
        yield data


def _check_untouched(path: Path) -> None:
    """Refuse what `curl -d @photo.jpg` makes of a file, which would be called damaged.

    Raises:
        Refused: When bytes are missing that no file of a picture does without.
    """
    with path.open("rb") as file:
        beginning = file.read(TOLD_BYTES)
    if len(beginning) == TOLD_BYTES and not _LEFT_OUT & set(beginning):
        raise Refused(
            400,
            "bad_request",
            "the file's line ends and zeros are missing, as curl -d leaves them out; send it with --data-binary.",
        )


def _recognised(path: Path) -> ImageFormat | None:
    """Return what a picture is; None for a video that can be read here."""
    head = head_of(path)
    format_ = sniff_format(head)
    if format_ is None and takes_videos() and is_video(head_for_videos(path)):
        return None
    if not head:
        raise Refused(400, "bad_request", "the body is empty; send a picture.")
    if format_ is None:
        raise Refused(
            415, "unsupported_image", f"what was sent is {describe_unread(head)}; what is read is {READ_FORMATS}."
        )
    return format_


def _too_large(limits: Limits) -> Refused:
    return Refused(
        413, "body_too_large", f"the upload has more than the {limits.max_body_bytes / 2**20:g} MiB that are allowed."
    )
