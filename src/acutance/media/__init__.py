"""Photos in and out: files become `Photo`s and back, and nothing that a file held is lost without a word."""

from acutance.media.atomic import Fingerprint, Patch, check_target, fingerprint_of, joined_parts, write_atomically
from acutance.media.encoder_threads import encoder_threads
from acutance.media.format import Format
from acutance.media.formats import FORMATS, format_of
from acutance.media.losses import lost_in
from acutance.media.names import find_clashes
from acutance.media.part_file import remove_leftovers
from acutance.media.paths import PlannedFile, find_photos, plan_outputs, raw_files_in
from acutance.media.photo import ImageFormat, Metadata, Photo
from acutance.media.pillow_images import from_pil, to_pil
from acutance.media.pnm import parts_for_name
from acutance.media.reading import DEFAULT_MAX_PIXELS, PictureFile, open_pictures, read_photo
from acutance.media.strips import Strip, StripSource, joined
from acutance.media.thumbnail import has_thumbnail, with_new_thumbnail
from acutance.media.video_formats import FileKind, kind_of
from acutance.media.writing import (
    can_be_streamed,
    check_holds,
    encode_photo,
    encode_pictures,
    encode_strips,
    lost_in_timing,
    own_format,
    write_photo,
)

__all__ = [
    "DEFAULT_MAX_PIXELS",
    "FORMATS",
    "FileKind",
    "Fingerprint",
    "Format",
    "ImageFormat",
    "Metadata",
    "Patch",
    "Photo",
    "PictureFile",
    "PlannedFile",
    "Strip",
    "StripSource",
    "can_be_streamed",
    "check_holds",
    "check_target",
    "encode_photo",
    "encode_pictures",
    "encode_strips",
    "encoder_threads",
    "find_clashes",
    "find_photos",
    "fingerprint_of",
    "format_of",
    "from_pil",
    "has_thumbnail",
    "joined",
    "joined_parts",
    "kind_of",
    "lost_in",
    "lost_in_timing",
    "open_pictures",
    "own_format",
    "parts_for_name",
    "plan_outputs",
    "raw_files_in",
    "read_photo",
    "remove_leftovers",
    "to_pil",
    "with_new_thumbnail",
    "write_atomically",
    "write_photo",
]
