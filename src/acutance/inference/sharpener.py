"""`Sharpener`: a picture in, a sharper picture of the same kind out; `sharpen`: the same, once."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, overload

import numpy as np
import numpy.typing as npt
from PIL import Image

from acutance.engines.engine import Engine, EngineName, EngineSettings, Ensemble, Precision
from acutance.errors import ConfigError, InputError
from acutance.imaging.picture import Picture
from acutance.inference.arrays import GivesDLPack, Layout, as_picture, sharpened_array
from acutance.inference.photo_sharpener import PhotoSharpener
from acutance.inference.picture_files import sharpen_file, sharpened_content
from acutance.inference.picture_settings import PictureSettings
from acutance.media import check_target, from_pil, plan_outputs, to_pil
from acutance.media.reading import mode_of
from acutance.zoo.catalogue import AUTO

if TYPE_CHECKING:
    from acutance.inference.told import Region, ToldBlur
    from acutance.provenance.credential import SigningCredential

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

    def __init__(
        self,
        model: str | Path = AUTO,
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
        ensemble: Ensemble = 1,
        back_projection: bool | None = None,
        signed_by: SigningCredential | None = None,
    ) -> None:
        """Open a model.

        Args:
            model: Name of a model, or path of an ONNX file: exported by acutance, or by others (`engines.foreign`);
                `auto` looks at each picture and takes the model that suits it, or leaves it as it is.
            fidelity: 1 is the network trained for truth, which adds no texture; 0 the one trained for perception, the
                crispest; between them their weights are blended.
            engine: `auto`, the fastest here; `cpu`; `gpu`; one by its name (see `acutance doctor`), such as `openvino`;
                or an opened engine (then the other settings of the network do not matter).
            precision: Of the arithmetic: `float32`, `bfloat16` (faster, of OpenVINO), `float16` (of devices such as a
                GPU), or `auto`, which takes the fastest that the processor is made for.
            threads: Threads for one run, at most one per CPU for this process; None is one per physical core.
            tile_px: Side of the tiles, a matter of memory and speed only; None for the measured default.
            max_pixels: Larger pictures are refused before they are decoded. None: above 250 megapixels, unless a file
                can be worked on in strips, when it may have any size.
            max_memory_mb: About what the process may take, in MB. Pictures that would need more are worked on in
                strips, from file to file; where that is not possible, they are refused. None: 2000, or three quarters
                of what the machine or the container has, and these are not refused.
            told: What blurred the pictures, for the model `motion`, which then does not look for it.
            region: Restore this part of each picture, and fade into the rest; `motion` looks for what blurred the part.
            ensemble: Mean over so many orientations of the picture, 1, 2, 4 or 8: nearer to the truth by 0.1 to 0.4 dB
                at 8, in as many times the time. Not of an opened engine.
            back_projection: Whether what the network gives is blurred again, and corrected by how far that is from what
                was seen: 0.1 to 1 dB nearer to the truth where the blur is even, in a third more time; never of
                videos, regions or motion, nor of what is enlarged. None: of acutance's own models.
            signed_by: Sign each result with this certificate (C2PA, extra `c2pa`): a manifest in the file says what was
                done, by what, and of which photo. Of paths and the bytes of files, not of arrays and PIL images.

        Raises:
            UnknownModel: When there is no such model.
            ConfigError: When a setting is out of range, or the model has no perceptual weights to give, cannot be told,
                or enlarges while a region is asked for.
            EngineError: When the engine is not installed.
        """
        super().__init__(
            model,
            engine
            if not isinstance(engine, str)
            else EngineSettings(
                fidelity=fidelity, engine=engine, precision=precision, threads=threads, ensemble=ensemble
            ),
            PictureSettings(
                told=told,
                region=region,
                back_projection=back_projection,
                tile_px=tile_px,
                threads=threads,
                max_pixels=max_pixels,
                max_memory_mb=max_memory_mb,
                signed_by=signed_by,
            ),
        )

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
        self._refuse_to_sign()
        if isinstance(image, Image.Image):
            return to_pil(self.sharpen_photo(from_pil(image), strength=strength))
        return sharpened_array(image, layout, lambda picture: self._sharpen_array(picture, strength))

    def _refuse_to_sign(self) -> None:
        """Refuse pictures that are no files where these are to be signed.

        Raises:
            ConfigError: When they are.
        """
        if self.settings.signed_by is not None:
            raise ConfigError(
                "signed_by: a manifest lies in a file; give the path of a photo or its bytes, or leave signed_by out."
            )

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
            colours, alpha = self._restorer.restore(Picture(picture[..., :3], picture[..., 3]), strength=strength)
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
    signed_by: SigningCredential | None = None,
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
    signed_by: SigningCredential | None = None,
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
    signed_by: SigningCredential | None = None,
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
    signed_by: SigningCredential | None = None,
) -> Tensor: ...


def sharpen(
    image: str | Path | bytes | bytearray | memoryview | npt.NDArray[Any] | Image.Image | GivesDLPack,
    *,
    model: str | Path = AUTO,
    strength: float = 1.0,
    fidelity: float = 1.0,
    told: ToldBlur | None = None,
    region: Region | None = None,
    signed_by: SigningCredential | None = None,
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
    with Sharpener(model, fidelity=fidelity, told=told, region=region, signed_by=signed_by) as sharpener:
        if isinstance(image, (str, Path)):
            return sharpener(image, strength=strength, output=output, overwrite=overwrite)
        return sharpener(image, strength=strength)
