"""Files of pictures, sharpened or looked at: what a worker does for direct requests and jobs alike."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from acutance.inference.inspecting import look_at
from acutance.inference.inspection import Inspection, first_photo, inspection_of
from acutance.inference.listening import Listener
from acutance.inference.picture_files import sharpened_content
from acutance.media import open_pictures
from acutance.server.bounds import check_bounds
from acutance.server.jobs import JobResult
from acutance.server.models import Models
from acutance.server.options import MEDIA_TYPES, Options
from acutance.server.refusals import storage_refusal
from acutance.server.stopping import StopSignal
from acutance.server.tiles import TileWriter


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectTask:
    """Look at a picture; of an animation or pages at the first."""

    upload: Path
    max_pixels: int
    """Larger pictures are refused before they are decoded."""

    def run(self, models: Models, stop: StopSignal, progress: Callable[[float], None]) -> Inspection:
        """Do it; see `Task.run`."""
        del models, progress
        stop.start()
        stop.check()
        # By its bytes: the sentences of errors would name the path.
        content = self.upload.read_bytes()
        with open_pictures(content, max_pixels=self.max_pixels, max_bits=16) as pictures:
            check_bounds(pictures, content)
        photo = first_photo(content, max_pixels=self.max_pixels)
        stop.check()
        return inspection_of(look_at(photo.pixels, photo.metadata, alpha=photo.alpha))


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureTask:
    """Sharpen a picture; of an animation or pages, each."""

    upload: Path
    target: Path
    """Written in the end; who asks for the task makes its name last, or removes it."""
    options: Options
    max_pixels: int
    """Larger pictures are refused before they are decoded."""
    tiles: Path | None = None
    """A folder for finished tiles of a single picture, which is there while somebody looks; None: nobody can."""

    def run(self, models: Models, stop: StopSignal, progress: Callable[[float], None]) -> JobResult:
        """Do it; see `Task.run`. The time is that from decoding to coding."""
        start = time.perf_counter()
        stop.start()

        def tell(share: float) -> None:
            stop.check()
            progress(share)

        stop.check()
        options = self.options
        content = self.upload.read_bytes()  # as above
        with open_pictures(content, max_pixels=self.max_pixels, max_bits=16) as pictures:
            check_bounds(pictures, content, ensemble=options.model.ensemble)
            format_ = options.format or pictures.format
            with models.borrow(options.model) as opened:
                sharpener = opened
                if options.told or options.region:
                    sharpener = sharpener.told(options.told, region=options.region)
                if self.tiles is not None and pictures.count == 1:
                    orientation, profile = pictures.metadata.orientation, pictures.metadata.icc_profile
                    sharpener = sharpener.watched(
                        TileWriter(self.tiles, pictures.size, orientation=orientation, icc_profile=profile)
                    )
                content, made = sharpened_content(
                    sharpener, pictures, format_, strength=options.strength, listener=Listener(progress=tell)
                )
        stop.check()
        seconds = time.perf_counter() - start
        try:
            self.target.write_bytes(content)
        except OSError as error:
            raise storage_refusal(error) from error
        return JobResult(
            media_type=MEDIA_TYPES[format_],
            bytes=len(content),
            seconds=seconds,
            megapixels=made.megapixels,
            lost=made.lost,
            found=made.words,
            model=next(iter(made.models), None),
        )
