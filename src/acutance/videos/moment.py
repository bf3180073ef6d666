"""The frames of a clip around a moment, as they are looked at: upright, and of interlaced material each field alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import av
import numpy as np
import numpy.typing as npt

from acutance.errors import ConfigError, InputError
from acutance.imaging.registration import Registration
from acutance.videos.colour import tags_of
from acutance.videos.frames import FramePreparer
from acutance.videos.hdr import display_matrix_of, side_data_of
from acutance.videos.opening import open_video, video_streams
from acutance.videos.reading import VideoReader
from acutance.videos.settings import VideoSettings

MOST_FRAMES: Final = 250
_MOST_PIXELS: Final = 400_000_000
"""Of all frames together: 1.2 GB of 8-bit colours."""
_USUAL_RATE: Final = 25.0


@dataclass(slots=True)
class Shown:
    """A frame or a field, as it is looked at."""

    time_s: float
    field: int | None
    pixels: npt.NDArray[Any]
    """`h w c`, uint8 or uint16."""
    registration: Registration | None = None
    """Where the still's region lies in it."""
    why: str = ""
    """Why it is not used."""
    light: tuple[float, npt.NDArray[np.float32], npt.NDArray[np.float32]] | None = None
    """Gain, own mean and the reference's mean of each channel."""
    fit: float = math.inf
    """Mean square of what is off from the others, smoothed."""
    weight: float = 0.0
    share: float = 0.0
    """Of its region, where it fits."""


def frames_near(source: Path, at_s: float, count: int, *, fields: bool | None) -> list[Shown]:
    """Read the frames nearest to a moment, in the order of their times.

    Args:
        source: The clip.
        at_s: In seconds from its start.
        count: How many frames.
        fields: Whether each is two fields; None is what it says.

    Raises:
        InputError: When it is no clip, or has no frame there.
        ConfigError: When they would not fit into memory.
    """
    with open_video(source) as container:
        videos = video_streams(container)
        if not videos:
            raise InputError(f"{source} holds no video that can be decoded.")
        video = videos[0]
        if count * video.width * video.height > _MOST_PIXELS:
            most = _MOST_PIXELS // (video.width * video.height)
            raise ConfigError(f"frames = {count} of {video.width}×{video.height} px: too many to hold; take {most}.")
        rate = float(video.average_rate) if video.average_rate else _USUAL_RATE
        settings = VideoSettings(from_s=max(at_s - (count + 2) / rate, 0.0), picture_only=True)
        reader = VideoReader(container, video, copied=frozenset(), settings=settings)
        length_s = (container.duration or 0) / av.time_base
        start = (container.start_time or 0) / av.time_base
        tags = tags_of(video.codec_context)
        preparer: FramePreparer | None = None
        turn: Callable[[npt.NDArray[Any]], npt.NDArray[Any]] = _turning(None)
        found: list[Shown] = []
        last_s = 0.0
        for chunk in reader:
            if chunk.frame is None or chunk.time is None:
                continue
            if preparer is None:
                preparer = FramePreparer(chunk.frame, tags, scale=1)
                turn = _turning(display_matrix_of(side_data_of(chunk.frame)))
            last_s = float(chunk.time * reader.time_base) - start
            pending = preparer.prepare(chunk)
            assert pending.shown is not None
            pixels = np.array(pending.shown)
            is_two = pending.is_interlaced if fields is None else fields
            for field in (0, 1) if is_two else (None,):
                one = pixels if field is None else _bobbed(pixels, field)
                found.append(Shown(last_s, field, turn(one)))
            each = 2 if is_two else 1
            found = _nearest(found, at_s, count * each)
            if found[-1].time_s < last_s:  # the newest is farther away than all that are kept
                break
    if not found or (at_s > last_s + 2 / rate and found[-1].time_s < at_s):
        length = f"the clip has {length_s:.2f} s" if length_s else "it ends before that"
        raise InputError(f"{source}: has no frame at {at_s:g} s, {length}; name a moment within.")
    return found


def _nearest(found: list[Shown], at_s: float, count: int) -> list[Shown]:
    """Return those nearest to a moment, in their order."""
    near = sorted(range(len(found)), key=lambda number: abs(found[number].time_s - at_s))[:count]
    return [found[number] for number in sorted(near)]


def _turning(matrix: tuple[int, ...] | None) -> Callable[[npt.NDArray[Any]], npt.NDArray[Any]]:
    """Return what turns a frame as its display matrix says, by quarter turns and mirrorings."""
    a, b, c, d = (0, 0, 0, 0) if matrix is None else (int(np.sign(matrix[place])) for place in (0, 1, 3, 4))

    def turn(pixels: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if matrix is None or not (a or b):
            return pixels
        if a == 0:
            pixels = pixels.swapaxes(0, 1)
        rows, columns = (d, a) if a else (b, c)
        return np.ascontiguousarray(pixels[:: rows or 1, :: columns or 1])

    return turn


def _bobbed(pixels: npt.NDArray[Any], field: int) -> npt.NDArray[Any]:
    """Return a field at the height of its frame: the rows between its own are the means of their neighbours."""
    own = pixels[field::2].astype(np.float32)
    places = np.clip((np.arange(pixels.shape[0]) - field) / 2, 0, len(own) - 1)
    low = np.floor(places).astype(np.intp)
    share = (places - low)[:, None, None].astype(np.float32)
    whole = own[low] * (1 - share) + own[np.minimum(low + 1, len(own) - 1)] * share
    return np.asarray(np.rint(whole), dtype=pixels.dtype)
