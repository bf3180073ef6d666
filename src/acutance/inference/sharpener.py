"""`Sharpener`: a picture in, a sharper picture of the same kind out; `sharpen`: the same, once."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any, TypeVar, overload

import numpy as np
import numpy.typing as npt
from PIL import Image

from acutance.errors import ConfigError, InputError
from acutance.imaging.convert import PixelType
from acutance.inference.arrays import GivesDLPack, Layout, as_picture, opaque_picture, sharpened_array
from acutance.inference.listening import Listener, Progress, ignore
from acutance.inference.photo_sharpener import PhotoSharpener
from acutance.inference.picture_files import sharpen_file, sharpened_content
from acutance.inference.told import Region, ToldBlur, model_for
from acutance.media import check_target, from_pil, plan_outputs, to_pil
from acutance.media.reading import mode_of
from acutance.zoo.catalogue import AUTO

Kind = TypeVar("Kind", bytes, npt.NDArray[Any], Image.Image)
Tensor = TypeVar("Tensor", bound=GivesDLPack)


class Sharpener(PhotoSharpener):
    """A model opened once, for any number of pictures. Immutable, and safe to use from several threads.

    It can be pickled for a worker, and used in a forked process (`EngineError` with torch): both open the model anew.

    Examples:
        >>> import numpy as np
        >>> with Sharpener() as sharpener:
        ...     sharp = sharpener(np.zeros((32, 48, 3), np.uint8))
        >>> sharp.shape
        (32, 48, 3)
    """

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

    @overload
    def __call__(self, image: bytearray | memoryview, *, strength: float = 1.0) -> bytes: ...

    @overload
    def __call__(self, image: Tensor, *, strength: float = 1.0, layout: Layout = "hwc") -> Tensor: ...

    def __call__(
        self,
        image: str | Path | bytes | bytearray | memoryview | npt.NDArray[Any] | Image.Image | GivesDLPack,
        *,
        strength: float = 1.0,
        output: str | Path | None = None,
        overwrite: bool = False,
        layout: Layout = "hwc",
    ) -> Path | bytes | npt.NDArray[Any] | Image.Image | GivesDLPack:
        """Sharpen a picture; what comes back is of the kind that was given.

        Args:
            image: One of

                - a path: the result is written to `output` (default: `photo.jpg` → `photo.sharp.jpg` beside it) with
                  all its metadata, and its path returned;
                - bytes of a picture file: bytes of a file of the same format (JPEG XL becomes a PNG, a camera's raw
                  file a TIFF);
                - a NumPy array `h w`, `h w 1`, `h w 3` or `h w 4` (grey, RGB, RGBA in gamma space), uint8, uint16, or
                  float in [0, 1], or a tensor: one of the same shape (times the model's scale) and type;
                - a PIL image: one of mode L, LA, RGB, RGBA or I;16, the nearest to its own that can hold the result
                  (1 becomes L; P becomes RGB, or RGBA with transparency); CMYK, F and others are refused.
            strength: 0 changes nothing, 1 is the network's answer, up to 2 exaggerates.
            output: For a path only.
            overwrite: For a path only: replace an existing file.
            layout: Of an array: `chw` has the channels first, as torch has them; `nhwc` and `nchw` are batches.

        Raises:
            InputError: When the picture cannot be read or is of a kind that is not supported.
            OutputError: When the result cannot be written, or would replace a file.
            ConfigError: When the strength is out of range, there is no such layout, or `output` stands with no path.
            EngineError: When the network cannot be run, or gives no numbers.
        """
        if isinstance(image, (str, Path)):
            return self._sharpen_file(Path(image), output, strength=strength, overwrite=overwrite)
        if output is not None or overwrite:
            raise ConfigError("output and overwrite: only for a picture given by its path.")
        if isinstance(image, (bytes, bytearray, memoryview)):
            with self.opened(bytes(image)) as pictures:
                return sharpened_content(self, pictures, strength=strength)[0]
        if isinstance(image, Image.Image):
            return to_pil(self.sharpen_photo(from_pil(image), strength=strength))
        return sharpened_array(image, layout, lambda picture: self._sharpen_array(picture, strength))

    def sharpen_pixels(
        self, pixels: npt.NDArray[PixelType], *, strength: float = 1.0, progress: Progress | None = None
    ) -> npt.NDArray[PixelType]:
        """Sharpen opaque pixels, and tell how far it is.

        Args:
            pixels: `h w 3` RGB or `h w 1` grey, gamma space; uint8, uint16, or float32 in [0, 1].
            strength: 0 … 2.
            progress: Called with the share done.

        Returns:
            The same shape (times the model's scale) and type.

        Raises:
            InputError: When the array is no such picture.
            ConfigError: When the strength is out of range.
        """
        picture = opaque_picture(pixels)
        if self._keeps_all(strength):
            return picture.copy()
        return self._restorer.restore(picture, strength=strength, listener=Listener(progress=progress or ignore))[0]

    def _sharpen_file(self, path: Path, output: str | Path | None, *, strength: float, overwrite: bool) -> Path:
        if stat.S_ISDIR(mode_of(path)):
            raise InputError(f"{path} is a folder: name a photo in it; acutance sharpen takes folders.")
        (planned,) = plan_outputs([path], None if output is None else Path(output), overwrite=overwrite)
        if planned.kind == "video":
            raise InputError(f"{path} is a video: acutance.videos.sharpen_video takes it, and acutance sharpen does.")
        check_target(planned.target, overwrite=overwrite)
        return sharpen_file(self, planned.source, planned.target, strength=strength, overwrite=overwrite).target

    def _sharpen_array(self, image: npt.NDArray[Any], strength: float) -> npt.NDArray[Any]:
        """Sharpen an array of any accepted shape and type."""
        picture = as_picture(image)
        if self._keeps_all(strength):
            return image.copy()  # not by way of float32, which would round the doubles
        if picture.shape[2] < 4:
            sharp = self.sharpen_pixels(picture, strength=strength)
        else:
            colours, alpha = self._restorer.restore(picture[..., :3], picture[..., 3], strength=strength)
            sharp = colours if alpha is None else np.dstack([colours, alpha])
        return (sharp[..., 0] if image.ndim == 2 else sharp).astype(image.dtype, copy=False)


@overload
def sharpen(
    image: str | Path,
    *,
    model: str | Path = AUTO,
    strength: float = 1.0,
    fidelity: float = 1.0,
    told: ToldBlur | None = None,
    region: Region | None = None,
    output: str | Path | None = None,
    overwrite: bool = False,
) -> Path: ...


@overload
def sharpen(
    image: Kind,
    *,
    model: str | Path = AUTO,
    strength: float = 1.0,
    fidelity: float = 1.0,
    told: ToldBlur | None = None,
    region: Region | None = None,
) -> Kind: ...


@overload
def sharpen(
    image: bytearray | memoryview,
    *,
    model: str | Path = AUTO,
    strength: float = 1.0,
    fidelity: float = 1.0,
    told: ToldBlur | None = None,
    region: Region | None = None,
) -> bytes: ...


@overload
def sharpen(
    image: Tensor,
    *,
    model: str | Path = AUTO,
    strength: float = 1.0,
    fidelity: float = 1.0,
    told: ToldBlur | None = None,
    region: Region | None = None,
) -> Tensor: ...


def sharpen(
    image: str | Path | bytes | bytearray | memoryview | npt.NDArray[Any] | Image.Image | GivesDLPack,
    *,
    model: str | Path = AUTO,
    strength: float = 1.0,
    fidelity: float = 1.0,
    told: ToldBlur | None = None,
    region: Region | None = None,
    output: str | Path | None = None,
    overwrite: bool = False,
) -> Path | bytes | npt.NDArray[Any] | Image.Image | GivesDLPack:
    """Sharpen one picture; see `Sharpener.__call__`. For several, open a `Sharpener` once: loading is saved.

    What blurred the picture (`told`) is undone by the model `motion`, unless another model is named; see `ToldBlur`.

    Examples:
        >>> import numpy as np
        >>> sharpen(np.zeros((32, 48, 3), np.uint8)).dtype
        dtype('uint8')
    """
    with Sharpener(model_for(told, model), fidelity=fidelity, told=told, region=region) as sharpener:
        if isinstance(image, (str, Path)):
            return sharpener(image, strength=strength, output=output, overwrite=overwrite)
        return sharpener(image, strength=strength)
