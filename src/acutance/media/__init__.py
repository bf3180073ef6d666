"""Photos in and out: files become `Photo`s and back, and nothing that a file held is lost without a word."""

from acutance.media.atomic import check_target
from acutance.media.fingerprint import Fingerprint, fingerprint_of
from acutance.media.formats import ImageFormat, format_of
from acutance.media.losses import lost_in
from acutance.media.names import find_clashes
from acutance.media.part_file import remove_leftovers
from acutance.media.paths import PlannedFile, plan_outputs
from acutance.media.photo import Metadata, Photo
from acutance.media.pil import from_pil, to_pil
from acutance.media.reading import DEFAULT_MAX_PIXELS, read_photo
from acutance.media.video_formats import FileKind, kind_of
from acutance.media.writing import encode_photo, own_format, write_photo

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "FileKind",
    "Fingerprint",
    "ImageFormat",
    "Metadata",
    "Photo",
    "PlannedFile",
    "check_target",
    "encode_photo",
    "find_clashes",
    "fingerprint_of",
    "format_of",
    "from_pil",
    "kind_of",
    "lost_in",
    "own_format",
    "plan_outputs",
    "read_photo",
    "remove_leftovers",
    "to_pil",
    "write_photo",
]
