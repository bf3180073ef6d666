"""Videos in and out (extra `video`): every frame sharpened, and all else of the file kept as it was.

PyAV is imported in this room only; whoever needs videos imports the room inside a function, when it is asked for.
"""

from __future__ import annotations

from importlib.util import find_spec

from acutance.errors import JobError
from acutance.extras import how_to_get

if find_spec("av") is None:
    raise JobError(f"videos: PyAV is not installed; {how_to_get('video')}.")

from acutance.videos.job import VideoResult
from acutance.videos.opening import is_video, sharp_name
from acutance.videos.progress import VideoProgress
from acutance.videos.settings import VideoSettings
from acutance.videos.sharpening import sharpen_stream, sharpen_video

__all__ = [
    "VideoProgress",
    "VideoResult",
    "VideoSettings",
    "is_video",
    "sharp_name",
    "sharpen_stream",
    "sharpen_video",
]
