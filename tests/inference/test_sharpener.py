from __future__ import annotations

import io
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import acutance
from acutance.engines.fake import FakeEngine
from acutance.errors import ConfigError, InputError, OutputError, UnknownModel
from acutance.inference.arrays import Layout
from acutance.inference.sharpener import Sharpener
from acutance.media import Photo

Pixels = np.ndarray


@pytest.fixture
def inverter() -> Sharpener:
    return Sharpener(engine=FakeEngine(lambda batch: 1.0 - batch))


def picture(shape: tuple[int, ...], seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.mark.parametrize("shape", [(9, 7), (9, 7, 1), (9, 7, 3), (9, 7, 4)])
def test_arrays_come_back_as_they_went(inverter: Sharpener, shape: tuple[int, ...]) -> None:
    image = picture(shape)
    if len(shape) == 3 and shape[2] == 4:
        image[..., 3] = 200
    result = inverter(image)
    assert (result.shape, result.dtype) == (image.shape, image.dtype)
    np.testing.assert_array_equal(result, 255 - image)


@pytest.mark.parametrize("dtype", [np.uint16, np.float16, np.float32, np.float64])
def test_array_types(inverter: Sharpener, dtype: type) -> None:
    white = 65535 if dtype is np.uint16 else 1
    image = (np.linspace(0, 1, 60).reshape(4, 5, 3) * white).astype(dtype)
    result = inverter(image)
    assert result.dtype == image.dtype
    np.testing.assert_allclose(result.astype(float), white - image.astype(float), atol=white * 1e-3)


@pytest.mark.parametrize(
    "image", [np.zeros((3, 9, 9), np.uint8), np.zeros((9, 9, 2), np.uint8), np.zeros((9, 9), bool), np.zeros((0, 4, 3))]
)
def test_arrays_that_are_no_pictures(inverter: Sharpener, image: Pixels) -> None:
    with pytest.raises(InputError, match="array of shape"):
        inverter(image)


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf, 1e300])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_numbers_that_are_none(inverter: Sharpener, number: float, dtype: type) -> None:
    image = np.full((8, 9, 3), 0.5, dtype)
    with np.errstate(over="ignore"):
        image[3, 4, 1] = number
    with pytest.raises(InputError, match="NaN or infinity"):
        inverter(image)


@pytest.mark.parametrize(("low", "high"), [(0.0, 255.0), (-1.0, 1.0), (0.0, 1.01), (-0.5, 0.5)])
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_beyond_their_range(inverter: Sharpener, low: float, high: float, dtype: type) -> None:
    image = np.linspace(low, high, 8 * 9 * 3).reshape(8, 9, 3).astype(dtype)
    with pytest.raises(InputError, match=r"floats from .* must lie within 0 … 1; scale them, e.g. array / 255"):
        inverter(image)


def test_rounding_beyond_the_range_is_cut_off(inverter: Sharpener) -> None:
    image = np.array([[[-1e-6, 0.5, 1 + 1e-6]]], np.float32)
    np.testing.assert_allclose(inverter(image), [[[1, 0.5, 0]]], atol=1e-5)


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("layout", ["chw", "nhwc", "nchw"])
def test_layouts(inverter: Sharpener, layout: Layout, channels: int) -> None:
    batch = np.random.default_rng(1).random((2, 9, 7, channels), dtype=np.float32)
    batch[..., 3:] = 0.5
    given = batch.transpose(0, 3, 1, 2) if layout.endswith("chw") else batch
    given = given if layout.startswith("n") else given[0]
    result = inverter(given, layout=layout)
    assert (result.shape, result.dtype) == (given.shape, given.dtype)
    np.testing.assert_allclose(result, 1 - given, atol=1e-6)


def test_layouts_that_do_not_fit(inverter: Sharpener) -> None:
    with pytest.raises(InputError, match="layout nchw has 4 axes"):
        inverter(picture((3, 9, 7)), layout="nchw")
    with pytest.raises(InputError, match="holds no pictures"):
        inverter(np.zeros((0, 3, 9, 7), np.uint8), layout="nchw")
    with pytest.raises(ConfigError, match="layout 'nhw': unknown; there are hwc, chw, nhwc, nchw"):
        inverter(picture((3, 9, 7)), layout="nhw")  # type: ignore[call-overload]


@pytest.mark.parametrize("kind", [">u2", ">f4", ">f8"])
def test_other_byte_orders(inverter: Sharpener, kind: str) -> None:
    """As FITS and TIFF files give them."""
    image = np.linspace(0, 1, 60).reshape(4, 5, 3)
    image = (image * 65535 if kind == ">u2" else image).astype(kind)
    result = inverter(image)
    assert result.dtype == image.dtype
    np.testing.assert_array_equal(result, inverter(image.astype(image.dtype.newbyteorder("="))))


def test_arrays_of_a_subclass_are_what_they_hold(inverter: Sharpener) -> None:
    image = picture((8, 9))
    for one in (np.ma.masked_array(image), np.ma.masked_array(image, np.zeros_like(image, bool))):
        result = inverter(one)
        assert type(result) is np.ndarray
        np.testing.assert_array_equal(result, 255 - image)
    with pytest.raises(InputError, match=r"masked places: .* array.filled\(0\)"):
        inverter(np.ma.masked_array(image, image > 100))


def test_a_folder_is_no_picture(inverter: Sharpener, tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        Image.fromarray(picture((8, 9, 3))).save(tmp_path / name)
    with pytest.raises(InputError, match="is a folder: name a photo in it"):
        inverter(tmp_path)
    (tmp_path / "b.png").unlink()
    with pytest.raises(InputError, match="is a folder"):
        inverter(str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_a_batch_of_tensors(inverter: Sharpener) -> None:
    torch = pytest.importorskip("torch")
    batch = torch.rand(2, 3, 9, 7)
    result = inverter(batch, layout="nchw")
    assert isinstance(result, torch.Tensor)
    torch.testing.assert_close(result, 1 - batch)
    with pytest.raises(InputError, match=r"a picture of type Tensor: gives no array; .*tensor.detach\(\)"):
        inverter(batch.requires_grad_(), layout="nchw")


def test_what_gives_itself_by_dlpack(inverter: Sharpener) -> None:
    class Tensor:
        def __init__(self) -> None:
            self.array = np.full((3, 8, 9), 0.25, np.float32)

        def __dlpack__(self, **settings: object) -> object:
            return self.array.__dlpack__(**settings)

        def __dlpack_device__(self) -> tuple[int, int]:
            return self.array.__dlpack_device__()

    result = inverter(Tensor(), layout="chw")  # type: ignore[call-overload]
    np.testing.assert_array_equal(result, np.full((3, 8, 9), 0.75, np.float32))


@pytest.mark.parametrize("image", [None, 7, [[0, 1]], {"a": 1}, object()])
def test_what_is_no_picture_is_named_by_its_type(inverter: Sharpener, image: object) -> None:
    with pytest.raises(InputError, match=rf"a picture of type {type(image).__name__}: give a path, bytes, a NumPy"):
        inverter(image)  # type: ignore[call-overload]


def test_what_gives_an_array_of_itself(inverter: Sharpener) -> None:
    class Tensor:
        def __array__(self, dtype: object = None, copy: object = None) -> Pixels:
            return np.full((8, 9, 3), 5, np.uint8)

    assert np.asarray(inverter(Tensor())).tolist() == np.full((8, 9, 3), 250).tolist()  # type: ignore[call-overload]


@pytest.mark.parametrize("kind", [bytearray, memoryview])
def test_what_holds_bytes_is_taken_as_bytes(inverter: Sharpener, kind: type) -> None:
    buffer = io.BytesIO()
    Image.new("RGB", (9, 8), (5, 5, 5)).save(buffer, "PNG")
    sharp = inverter(kind(buffer.getvalue()))
    assert isinstance(sharp, bytes)
    assert sharp == inverter(buffer.getvalue())


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "LA"])
def test_pil_images(inverter: Sharpener, mode: str) -> None:
    image = Image.fromarray(picture((9, 7, 3))).convert(mode)
    result = inverter(image)
    assert (result.mode, result.size) == (mode, image.size)
    first = np.asarray(image.convert("RGB"))
    np.testing.assert_array_equal(np.asarray(result.convert("RGB")), 255 - first)


def test_bytes(inverter: Sharpener) -> None:
    buffer = io.BytesIO()
    Image.fromarray(picture((9, 7, 3))).save(buffer, "PNG")
    result = Image.open(io.BytesIO(inverter(buffer.getvalue())))
    assert result.format == "PNG"
    np.testing.assert_array_equal(np.asarray(result), 255 - picture((9, 7, 3)))


def test_paths(inverter: Sharpener, tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(picture((9, 7, 3))).save(path)
    assert inverter(path) == tmp_path / "a.sharp.png"
    assert inverter(str(path), output=tmp_path / "b.png") == tmp_path / "b.png"
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "b.png")), 255 - picture((9, 7, 3)))
    with pytest.raises(OutputError, match="exists"):
        inverter(path)
    inverter(path, overwrite=True)
    with pytest.raises(ConfigError, match="path"):
        inverter(picture((4, 4, 3)), output="x.png")  # type: ignore[call-overload]


def test_grey_stays_grey_through_the_shipped_model() -> None:
    with Sharpener(threads=1) as sharpener:
        assert sharpener(picture((20, 31))).shape == (20, 31)


def test_strength_zero_changes_nothing_not_even_hidden_colours(inverter: Sharpener) -> None:
    image = picture((9, 7, 4))
    image[:3, :, 3] = 0
    np.testing.assert_array_equal(inverter(image, strength=0.0), image)


@pytest.mark.parametrize("strength", [-0.1, 2.1, float("nan")])
def test_strength_out_of_range(inverter: Sharpener, strength: float) -> None:
    with pytest.raises(ConfigError, match="strength"):
        inverter(picture((4, 4, 3)), strength=strength)


def test_hidden_colour_does_not_bleed() -> None:
    """A network that averages widely must not see the garbage under transparent pixels."""

    def row_mean(batch: np.ndarray) -> np.ndarray:
        return np.broadcast_to(batch.mean(axis=3, keepdims=True), batch.shape).astype(np.float32)

    pixels = np.full((16, 16, 3), 90, np.uint8)
    alpha = np.full((16, 16), 255, np.uint8)
    pixels[:, 8:] = (255, 0, 255)
    alpha[:, 8:] = 0
    photo = Sharpener(engine=FakeEngine(row_mean)).sharpen_photo(Photo(pixels=pixels, alpha=alpha))
    np.testing.assert_array_equal(photo.pixels[:, :8], 90)


def test_opaque_alpha_is_kept_without_a_run(inverter: Sharpener) -> None:
    photo = Photo(pixels=picture((5, 5, 3)), alpha=np.full((5, 5), 255, np.uint8))
    result = inverter.sharpen_photo(photo)
    assert result.alpha is not None
    assert (result.alpha == 255).all()


def test_unknown_model_names_the_nearest() -> None:
    with pytest.raises(UnknownModel, match="did you mean 'fast'"):
        Sharpener("fsat")


def test_tile_too_small() -> None:
    with pytest.raises(ConfigError, match="tile = 8"):
        Sharpener(tile_px=8)


def test_one_call_form() -> None:
    image = picture((12, 10, 3))
    np.testing.assert_array_equal(acutance.sharpen(image, strength=0.0), image)
    assert acutance.sharpen(image).shape == image.shape


def test_threads_get_the_results_of_their_own_pictures() -> None:
    sharpener = Sharpener(threads=1)
    images = [picture((40 + 2 * i, 50, 3), seed=i) for i in range(6)]
    expected = [sharpener(image) for image in images]
    results: dict[int, Pixels] = {}

    def work(index: int) -> None:
        results[index] = sharpener(images[index])

    threads = [threading.Thread(target=work, args=(index,)) for index in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index in range(6):
        np.testing.assert_array_equal(results[index], expected[index])


def test_a_name_that_is_too_long_is_told_in_python_too():
    with pytest.raises(InputError, match="cannot be read"):
        Sharpener(engine=FakeEngine())("a" * 300 + ".jpg")
