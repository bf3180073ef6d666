"""`Sharpener`: a picture in, a sharper picture of the same kind out."""

from __future__ import annotations

from contextlib import AbstractContextManager
from copy import copy
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar, overload

import numpy as np
import numpy.typing as npt
from PIL import Image

from acutance.errors import ConfigError, InputError
from acutance.geometry import Size
from acutance.imaging.convert import PixelType
from acutance.inference.arrays import Layout, array_of, check_picture, in_kind_of, pictures_in, with_layout
from acutance.inference.engine import Engine, EngineName, Precision
from acutance.inference.forked import engine_of_processes
from acutance.inference.memory import default_memory_mb
from acutance.inference.picture_files import PictureWork
from acutance.inference.restoring import Found, PictureRestorer, Progress, ignore
from acutance.inference.streaming import memory_of_whole, restored_strips, tile_within
from acutance.inference.tiling import DEFAULT_TILE_PX, SMALLEST_TILE_PX
from acutance.inference.told import Region, ToldBlur
from acutance.media import (
    DEFAULT_MAX_PIXELS,
    Photo,
    PictureFile,
    StripSource,
    check_target,
    format_of,
    from_pil,
    joined_parts,
    open_pictures,
    parts_for_name,
    plan_outputs,
    to_pil,
    with_new_thumbnail,
    write_atomically,
)
from acutance.spec import ModelSpec
from acutance.zoo.catalogue import DEFAULT_MODEL

MAX_STREAMED_PIXELS = 10**12
"""Larger pictures are refused even in strips, unless the caller allows more: nobody has one."""

STRENGTHS = (0.0, 2.0)
"""Allowed strengths: 0 changes nothing, 1 is the network's answer, above 1 exaggerates."""

Kind = TypeVar("Kind", bytes, npt.NDArray[Any], Image.Image)


class Sharpener:
    """A model opened once, for any number of pictures. Immutable, and safe to use from several threads.

    It can be pickled for a worker, and used in a forked process (`EngineError` with torch): both open the model anew.

    Example:
        >>> import numpy as np
        >>> with Sharpener() as sharpener:
        ...     sharp = sharpener(np.zeros((32, 48, 3), np.uint8))
        >>> sharp.shape
        (32, 48, 3)
    """

    def __init__(
        self,
        model: str | Path = DEFAULT_MODEL,
        *,
        fidelity: float = 1.0,
        engine: EngineName | Engine = "auto",
        precision: Precision = "auto",
        threads: int | None = None,
        tile_px: int | None = None,
        max_pixels: int | None = None,
        max_memory_mb: int | None = None,
        told: ToldBlur | None = None,
        region: Region | None = None,
    ) -> None:
        """Open a model.

        Args:
            model: Name of a shipped model, or path of an ONNX file that acutance exported.
            fidelity: 1 is the network trained for truth, which adds no texture; 0 the one trained for perception, the
                crispest; between them their weights are blended.
            engine: Name of an engine, or an opened engine (then the other settings of the network do not matter).
            precision: Of the arithmetic: `float32` or `bfloat16` (faster), or `auto`, which takes the fastest that the
                processor is made for.
            threads: Threads for one run, at most one per CPU for this process; None is one per physical core.
            tile_px: Side of the tiles, a matter of memory and speed only; None for the measured default.
            max_pixels: Larger pictures are refused before they are decoded. None: above 250 megapixels, unless a file
                can be worked on in strips, when it may have any size.
            max_memory_mb: About what the process may take, in MB. Pictures that would need more are worked on in
                strips, from file to file; those of which that is not possible are refused. None: 2000, or three
                quarters of what the machine or the container has, and these are not refused.
            told: What blurred the pictures, for the model `motion`, which then does not look for it.
            region: Restore this part of each picture, and fade into the rest; `motion` looks for what blurred the part.

        Raises:
            UnknownModel: When there is no such model.
            ConfigError: When a setting is out of range, or the model has no perceptual weights to give, cannot be told,
                or enlarges while a region is asked for.
            EngineError: When the engine is not installed.
        """
        if tile_px is not None and tile_px < SMALLEST_TILE_PX:
            raise ConfigError(f"tile = {tile_px} px: must be at least {SMALLEST_TILE_PX}.")
        self._engine = (
            engine_of_processes(model, engine=engine, precision=precision, fidelity=fidelity, threads=threads)
            if isinstance(engine, str)
            else engine
        )
        self._tile_px = tile_px or DEFAULT_TILE_PX
        self._threads = threads
        self._region = region
        self._restorer = PictureRestorer(self._engine, tile_px=self._tile_px, threads=threads, told=told, region=region)
        self._max_pixels = DEFAULT_MAX_PIXELS if max_pixels is None else max_pixels
        self._max_streamed_pixels = MAX_STREAMED_PIXELS if max_pixels is None else max_pixels
        self._max_memory_mb = max_memory_mb

    @property
    def spec(self) -> ModelSpec:
        """What the model is."""
        return self._engine.spec

    @property
    def takes_parts(self) -> bool:
        """Whether a picture may be worked on in strips: not where the whole is looked at, or a region is restored."""
        return not self.spec.needs_whole and self._region is None

    def told(self, blur: ToldBlur | None = None, *, region: Region | None = None) -> Sharpener:
        """Return a sharpener for other pictures: the same opened model, and all of its settings but these two.

        It must not be closed: the engine belongs to this one.

        Raises:
            ConfigError: See `Sharpener`.
        """
        other = copy(self)
        other._region = region
        other._restorer = PictureRestorer(
            self._engine, tile_px=self._tile_px, threads=self._threads, told=blur, region=region
        )
        return other

    @property
    def is_apart(self) -> bool:
        """See `Engine.is_apart`."""
        return self._engine.is_apart

    @property
    def max_pixels(self) -> int:
        """Pictures with more pixels are refused before they are decoded."""
        return self._max_pixels

    def fits_as_whole(self, size: Size, *, row_bytes: int) -> bool:
        """Say whether a picture may be held as a whole.

        Args:
            size: Of the picture.
            row_bytes: What a row of it takes.
        """
        needed = memory_of_whole(size, row_bytes=row_bytes, spec=self.spec, tile_px=self._tile_px)
        return needed <= self._memory_bytes

    @property
    def has_memory_limit(self) -> bool:
        """Whether it was said how much memory may be taken."""
        return self._max_memory_mb is not None

    @property
    def _memory_bytes(self) -> float:
        return 1e6 * (default_memory_mb() if self._max_memory_mb is None else self._max_memory_mb)

    @overload
    def __call__(
        self,
        image: str | Path,
        *,
        strength: float = 1.0,
        output: str | Path | None = None,
        overwrite: bool = False,
    ) -> Path: ...

    @overload
    def __call__(self, image: Kind, *, strength: float = 1.0, layout: Layout = "hwc") -> Kind: ...

    def __call__(
        self,
        image: str | Path | bytes | npt.NDArray[Any] | Image.Image,
        *,
        strength: float = 1.0,
        output: str | Path | None = None,
        overwrite: bool = False,
        layout: Layout = "hwc",
    ) -> Path | bytes | npt.NDArray[Any] | Image.Image:
        """Sharpen a picture; what comes back is of the kind that was given.

        Args:
            image: One of
                - a path: the result is written to `output` (default: `photo.jpg` → `photo.sharp.jpg` beside it) with
                  all its metadata, and its path returned;
                - bytes of a picture file: bytes of a file of the same format;
                - a NumPy array `h w`, `h w 1`, `h w 3` or `h w 4` (grey, RGB, RGBA in gamma space), uint8, uint16, or
                  float in [0, 1]: an array of the same shape and type;
                  What gives an array (`__array__`, DLPack) is taken as one; of torch's tensors, tensors come back;
                - a PIL image: a PIL image of the same mode.
            strength: 0 changes nothing, 1 is the network's answer, up to 2 exaggerates.
            output: For a path only.
            overwrite: For a path only: replace an existing file.
            layout: Of an array: `chw` has the channels first, as torch has them; `nhwc` and `nchw` are batches.

        Raises:
            InputError: When the picture cannot be read or is of a kind that is not supported.
            OutputError: When the result cannot be written, or would replace a file.
            ConfigError: When the strength is out of range.
        """
        if isinstance(image, (str, Path)):
            return self._sharpen_file(Path(image), output, strength=strength, overwrite=overwrite)
        if output is not None or overwrite:
            raise ConfigError("output and overwrite: only for a picture given by its path.")
        if isinstance(image, (bytes, bytearray, memoryview)):
            return self._sharpen_bytes(bytes(image), strength=strength)
        if isinstance(image, Image.Image):
            return to_pil(self.sharpen_photo(from_pil(image), strength=strength))
        pictures = [self._sharpen_array(picture, strength) for picture in pictures_in(array_of(image), layout)]
        sharp: npt.NDArray[Any] = in_kind_of(image, with_layout(pictures, layout))
        return sharp

    def sharpen_photo(
        self,
        photo: Photo,
        *,
        strength: float = 1.0,
        progress: Progress | None = None,
        found: Found = ignore,
        doing: Found = ignore,
    ) -> Photo:
        """Sharpen a photo: its colours, and its transparency where it has any; its metadata stay, the thumbnail is new.

        Grey photos stay grey. Colour under full transparency does not bleed into what is visible. Models that look for
        what blurred the photo call `found` with a sentence, and `doing` with the name of each phase.
        """
        if self._keeps_all(strength):
            return photo
        alpha = None if photo.is_opaque else photo.alpha
        pixels, alpha = self._restorer.restore_stored(
            photo, alpha, strength=strength, progress=progress, found=found, doing=doing
        )
        return with_new_thumbnail(photo.with_pixels(pixels) if alpha is None else photo.with_pixels(pixels, alpha))

    def sharpen_strips(
        self, source: StripSource, *, strength: float = 1.0, progress: Progress | None = None
    ) -> StripSource:
        """Return the sharpened picture, to be read in strips: the pixels that `sharpen_photo` gives.

        Next to full transparency, the colours that are made up below it may differ: they come from fewer rows.

        Raises:
            ConfigError: When the rows do not fit into the memory that was allowed, or the strength is out of range.
        """
        if self._keeps_all(strength):
            return source
        if self.spec.needs_whole:
            raise ConfigError(f"model {self.spec.name}: looks at a picture as a whole, which strips are not.")
        if not self.takes_parts:
            raise ConfigError(f"region {self._region}: is restored in a picture as a whole, which strips are not.")
        tile_px = tile_within(source, self.spec, tile_px=self._tile_px, memory_bytes=self._memory_bytes)
        return restored_strips(self._engine, source, strength=strength, tile_px=tile_px, progress=progress)

    def sharpen_pixels(
        self, pixels: npt.NDArray[PixelType], *, strength: float = 1.0, progress: Progress | None = None
    ) -> npt.NDArray[PixelType]:
        """Sharpen pixels.

        Args:
            pixels: `h w 3` RGB or `h w 1` grey, gamma space; uint8, uint16, or float32 in [0, 1].
            strength: 0 … 2.
            progress: Called with the share done.

        Returns:
            The same shape (times the model's scale) and type.
        """
        if self._keeps_all(strength):
            return pixels.copy()
        return self._restorer.restore(pixels, strength=strength, progress=progress)[0]

    def close(self) -> None:
        """Free the engine."""
        self._engine.close()

    def __enter__(self) -> Sharpener:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _keeps_all(self, strength: float) -> bool:
        """Check the strength; return whether it leaves every pixel as it is."""
        low, high = STRENGTHS
        if not low <= strength <= high:
            raise ConfigError(f"strength = {strength}: must lie within {low:g} … {high:g}.")
        return strength == 0.0 and self.spec.scale == 1

    def _sharpen_bytes(self, content: bytes, *, strength: float) -> bytes:
        with self.opened(content) as pictures:
            return joined_parts(PictureWork(self, pictures, pictures.format, strength=strength).parts())

    def opened(self, source: Path | bytes) -> AbstractContextManager[PictureFile]:
        """Open a file of pictures within the limits; see `open_pictures`."""
        return open_pictures(
            source, max_pixels=self._max_pixels, max_bits=16, max_streamed_pixels=self._max_streamed_pixels
        )

    def _sharpen_file(self, path: Path, output: str | Path | None, *, strength: float, overwrite: bool) -> Path:
        (planned,) = plan_outputs([path], None if output is None else Path(output), overwrite=overwrite)
        if planned.kind == "video":
            raise InputError(
                f"{path} is a video: acutance.videos.sharpen_video sharpens it, and acutance sharpen does."
            )
        check_target(planned.target, overwrite=overwrite)
        with self.opened(planned.source) as pictures:
            work = PictureWork(self, pictures, format_of(planned.target), strength=strength)
            parts = parts_for_name(planned.target, work.parts())
            write_atomically(planned.target, parts, overwrite=overwrite, before_naming=lambda _: pictures.close())
        return planned.target

    def _sharpen_array(self, image: npt.NDArray[Any], strength: float) -> npt.NDArray[Any]:
        """Sharpen an array of any accepted shape and type."""
        if image.dtype in (np.float64, np.float16):
            return self._sharpen_array(image.astype(np.float32), strength).astype(image.dtype)
        if image.ndim == 2:
            return self._sharpen_array(image[..., None], strength)[..., 0]
        check_picture(image)
        if image.shape[2] < 4 or self._keeps_all(strength):
            return self.sharpen_pixels(image, strength=strength)
        return self._sharpen_rgba(image, strength)

    def _sharpen_rgba(self, image: npt.NDArray[Any], strength: float) -> npt.NDArray[Any]:
        colours, alpha = self._restorer.restore(image[..., :3], image[..., 3], strength=strength)
        return colours if alpha is None else np.dstack([colours, alpha])
