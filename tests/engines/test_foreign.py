"""Networks of others: found out, run with the same pixels as without acutance, and refused where they are none."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="networks of others are built with the extra 'torch'")

from tests.engines import alien_networks as alien  # noqa: E402

from acutance.engines.engine import EngineSettings  # noqa: E402
from acutance.engines.foreign import Adopted, adopt  # noqa: E402
from acutance.engines.foreign_told import Told, read_told  # noqa: E402
from acutance.engines.onnx_engine import OnnxRuntimeEngine  # noqa: E402
from acutance.engines.opening import open_engine  # noqa: E402
from acutance.errors import ConfigError, CorruptWeights, EngineError  # noqa: E402
from acutance.inference.sharpener import Sharpener  # noqa: E402
from acutance.inference.tiling import restore_tiled  # noqa: E402
from acutance.zoo.catalogue import find_model  # noqa: E402


def facts(adopted: Adopted) -> dict[str, str]:
    return {fact.what: fact.value for fact in adopted.facts}


def opened(adopted: Adopted) -> OnnxRuntimeEngine:
    onnx.checker.check_model(onnx.load_from_string(adopted.file), full_check=True)
    return OnnxRuntimeEngine.from_bytes(adopted.file, threads=1)


def restored(adopted: Adopted, pixels: np.ndarray, *, tile_px: int = 4096) -> np.ndarray:
    return restore_tiled(opened(adopted), pixels, tile_px=tile_px)


# --- found --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("range_", "layout", "half"), [("0..1", "nchw", True), ("0..255", "nchw", False), ("-1..1", "nhwc", False)]
)
def test_a_network_in_disguise_is_found_out(photo, range_: str, layout: str, half: bool) -> None:
    ours = find_model("paper").fidelity.read_bytes()
    adopted = adopt(alien.disguised(ours, range_=range_, layout=layout, half=half), name="net")
    found = facts(adopted)
    assert (found["range"], found["layout"], found["scale"], found["multiple"]) == (range_, layout, "1", "1")
    own = OnnxRuntimeEngine.from_bytes(ours, threads=1)
    assert adopted.spec.halo_px == own.spec.halo_px, "the reach of the paper's network is known"
    pixels = photo(75, 91)
    difference = np.abs(restored(adopted, pixels).astype(int) - restore_tiled(own, pixels))
    assert difference.max() <= 1
    assert (difference > 0).mean() < (0.02 if half else 1e-3)
    if not half:
        np.testing.assert_array_equal(restored(adopted, pixels, tile_px=40), restored(adopted, pixels))


def test_a_network_that_enlarges_is_found_out(photo) -> None:
    ours = find_model("fast-x2").fidelity.read_bytes()
    adopted = adopt(alien.disguised(ours, range_="-1..1"), name="net")
    assert (adopted.spec.scale, adopted.spec.task) == (2, "sharpen-and-enlarge")
    assert facts(adopted)["range"] == "-1..1"
    pixels = photo(50, 60)
    own = restore_tiled(OnnxRuntimeEngine.from_bytes(ours, threads=1), pixels)
    assert np.abs(restored(adopted, pixels).astype(int) - own).max() <= 1


def test_reversed_colours_are_taken_when_told(photo) -> None:
    ours = find_model("fast").fidelity.read_bytes()
    swapped = alien.disguised(ours, swaps=True)
    pixels = photo(64, 64)
    own = restore_tiled(OnnxRuntimeEngine.from_bytes(ours, threads=1), pixels)
    told = restored(adopt(swapped, name="net", told=Told(colours="bgr")), pixels)
    assert np.abs(told.astype(int) - own).max() <= 1
    assert np.abs(restored(adopt(swapped, name="net"), pixels).astype(int) - own).max() > 1


@pytest.mark.parametrize("side", [1, 3, 9])
def test_the_reach_is_exact(side: int) -> None:
    adopted = adopt(alien.mean_of(side), name="net", told=Told(range="0..1"))
    assert adopted.spec.halo_px == side // 2
    assert "exact" in facts(adopted)["tiles"]


def test_multiples_are_found() -> None:
    adopted = adopt(alien.cells(4), name="net", told=Told(range="0..1"))
    assert (adopted.spec.size_multiple, adopted.spec.halo_px) == (4, 0)


def test_a_network_that_sees_all_is_feathered() -> None:
    adopted = adopt(alien.minus_mean(), name="net", told=Told(range="0..1"))
    assert adopted.spec.feather_px == 64
    assert not adopted.spec.takes_strips
    assert "blended" in facts(adopted)["tiles"]


def test_a_network_of_one_size_is_feathered_without_seams(photo) -> None:
    adopted = adopt(alien.mean_of(3, shape=[1, 3, 48, 64]), name="net", told=Told(range="0..255"))
    assert (adopted.spec.fixed_height_px, adopted.spec.fixed_width_px, adopted.spec.feather_px) == (48, 64, 12)
    pixels = photo(131, 157)
    free = restored(adopt(alien.mean_of(3), name="net", told=Told(range="0..255")), pixels)
    # At the border of a tile its padding is seen, there and at the picture's own border; between tiles hardly.
    difference = np.abs(restored(adopted, pixels).astype(int) - free)[1:-1, 1:-1]
    assert difference.max() <= 2
    assert difference.mean() < 0.05


def test_old_files_list_their_weights_as_inputs(photo) -> None:
    adopted = adopt(alien.mean_of(3, ir_version=3), name="net", told=Told(range="-1..1", colours="bgr"))
    pixels = photo(40, 40)
    new = adopt(alien.mean_of(3), name="net", told=Told(range="-1..1", colours="bgr"))
    np.testing.assert_array_equal(restored(adopted, pixels), restored(new, pixels))


def test_the_input_may_be_called_as_ours(photo) -> None:
    model = onnx.load_from_string(alien.mean_of(3))
    model.graph.input[0].name = model.graph.node[0].input[0] = "degraded"
    adopted = adopt(model.SerializeToString(), name="net", told=Told(range="0..255"))
    pixels = photo(40, 40)
    plain = adopt(alien.mean_of(3), name="net", told=Told(range="0..255"))
    np.testing.assert_array_equal(restored(adopted, pixels), restored(plain, pixels))


# --- asked --------------------------------------------------------------------------------------------


def test_what_cannot_be_found_is_asked_for() -> None:
    # A mean is the same in every range up to its padding, and restores nothing.
    weight = np.eye(3, dtype=np.float32)[:, :, None, None] * 0.9 + 0.02
    nodes = [onnx.helper.make_node("Conv", ["x", "w", "b"], ["y"])]
    dark = alien.network(nodes, {"w": weight, "b": np.array([0.02] * 3, np.float32)})
    with pytest.raises(ConfigError, match=r'net: what black and white .* range = "0..1" into net.toml beside it'):
        adopt(dark, name="net")


def test_the_picture_among_outputs_is_asked_for() -> None:
    nodes = [onnx.helper.make_node("Identity", ["x"], [name]) for name in ("first", "second")]
    double = alien.network(nodes, {}, outputs=("first", "second"))
    with pytest.raises(ConfigError, match='output = "first"'):
        adopt(double, name="net")
    adopted = adopt(double, name="net", told=Told(output="second", range="0..1"))
    assert facts(adopted)["output"] == "second"
    with pytest.raises(ConfigError, match="output = 'third': there is none; there are first, second"):
        adopt(double, name="net", told=Told(output="third"))


def test_an_unknown_order_of_axes_is_asked_for() -> None:
    nodes = [onnx.helper.make_node("Identity", ["x"], ["y"])]
    with pytest.raises(ConfigError, match='layout = "nchw"'):
        adopt(alien.network(nodes, {}, shape=["a", "b", "c", "d"]), name="net")


def test_an_order_of_axes_that_is_not_told_is_found(photo) -> None:
    weight = np.zeros((3, 3, 3, 3), np.float32)
    weight[range(3), range(3)] = 1 / 9
    convolution = onnx.helper.make_node("Conv", ["x", "w"], ["y"], pads=[1] * 4)
    behind = [
        onnx.helper.make_node("Transpose", ["x"], ["a"], perm=[0, 3, 1, 2]),
        onnx.helper.make_node("Conv", ["a", "w"], ["b"], pads=[1] * 4),
        onnx.helper.make_node("Transpose", ["b"], ["y"], perm=[0, 2, 3, 1]),
    ]
    results = []
    for layout, nodes in (("nchw", [convolution]), ("nhwc", behind)):
        silent = alien.network(nodes, {"w": weight}, shape=["a", "b", "c", "d"], out=["e", "f", "g", "h"])
        adopted = adopt(silent, name="net", told=Told(range="0..1"))
        assert {fact.what: (fact.value, fact.source) for fact in adopted.facts}["layout"] == (
            layout,
            "found by probing",
        )
        results.append(restored(adopted, photo(40, 40)))
    np.testing.assert_array_equal(*results)


def test_a_result_of_another_range_is_taken_when_told(photo) -> None:
    weight = np.zeros((3, 3, 3, 3), np.float32)
    weight[range(3), range(3)] = 255 / 9
    larger = alien.network([onnx.helper.make_node("Conv", ["x", "w"], ["y"], pads=[1] * 4)], {"w": weight})
    with pytest.raises(ConfigError, match="a line output_range, too"):
        adopt(larger, name="net")
    pixels = photo(40, 40)
    adopted = adopt(larger, name="net", told=Told(range="0..1", output_range="0..255"))
    plain = adopt(alien.mean_of(3), name="net", told=Told(range="0..1"))
    np.testing.assert_array_equal(restored(adopted, pixels), restored(plain, pixels))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("rang = '0..1'", "'rang' is unknown; did you mean 'range'"),
        ("range = '0..2'", "range = '0..2': must be one of '0..1', '0..255', '-1..1'"),
        ("multiple = 'two'", "multiple = 'two': must be a whole number"),
        ("multiple = true", "multiple = True: must be a whole number"),
        ("multiple = 0", "multiple = 0: must be at least 1"),
        ("licence = 3", "licence = 3: must be text"),
        ("range = [1]", "must be one of"),
        ("range", "cannot be read as TOML"),
    ],
)
def test_settings_are_read_strictly(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "net.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=words.replace("[", r"\[")):
        read_told(path)


def test_settings_need_not_be_there(tmp_path: Path) -> None:
    assert read_told(tmp_path / "net.toml") == Told()
    with pytest.raises(ConfigError, match="no such file"):
        read_told(tmp_path / "net.toml", is_needed=True)


# --- refused ------------------------------------------------------------------------------------------


def test_what_is_no_network_for_pictures_is_refused() -> None:
    one = [onnx.helper.make_node("Identity", ["x"], ["y"])]
    two = [onnx.helper.make_node("Add", ["x", "z"], ["y"])]
    half = [onnx.helper.make_node("AveragePool", ["x"], ["y"], kernel_shape=[2, 2], strides=[2, 2])]
    for file, words in [
        (b"nothing", "not a network that ONNX Runtime can open"),
        (alien.network(one, {}, shape=["n", 1, "h", "w"]), "pictures of 1 channels"),
        (alien.network(one, {}, shape=[4, 3, "h", "w"]), "takes 4 pictures at once"),
        (alien.network(one, {}, shape=["n", 3, 16, 16], out=["n", 3, 16, 16]), "too few to restore with"),
        (alien.network(one, {}, number=onnx.TensorProto.UINT8), "a picture is float32 or float16"),
        (alien.network(two, {}, inputs=("x", "z")), r"takes 2 inputs \(x, z\)"),
        (alien.network(half, {}), "neither the same size nor a multiple"),
        (alien.network([onnx.helper.make_node("Grid9", ["x"], ["y"])], {}), r"can open \(.*Grid9.*upgrade onnxruntime"),
    ]:
        with pytest.raises(CorruptWeights, match=words):
            adopt(file, name="net")


def test_a_network_that_takes_no_usual_size_is_refused() -> None:
    with pytest.raises(EngineError, match="net: the network cannot be run on a picture"):
        adopt(alien.cells(5), name="net", told=Told(range="0..1"))


# --- used ---------------------------------------------------------------------------------------------


def test_a_file_is_opened_as_a_model(tmp_path: Path, photo) -> None:
    path = tmp_path / "net.onnx"
    path.write_bytes(alien.minus_mean(shape=[1, 3, 64, 64], out=[1, 3, 64, 64]))
    with pytest.raises(ConfigError, match=r"into net\.toml beside it"):
        Sharpener(path, engine="onnxruntime")
    path.with_suffix(".toml").write_text('range = "0..1"\nlicence = "MIT"\n')
    with Sharpener(path, engine="onnxruntime", threads=1) as sharpener:
        assert (sharpener.spec.name, sharpener.spec.licence) == ("net", "MIT")
        pixels = np.full((100, 90, 3), 100, np.uint8)
        assert (sharpener(pixels) == 95).all()
        said: list[str] = []
        sharpener.sharpen_photo(_photo(pixels), found=said.append)
        assert said == ["model net: its tiles are overlapping by 16 px, and blended there"]


def _photo(pixels: np.ndarray):
    from PIL import Image

    from acutance.media import from_pil

    return from_pil(Image.fromarray(pixels))


@pytest.mark.parametrize("engine", ["openvino"])
def test_other_engines_run_it(tmp_path: Path, photo, engine) -> None:
    pytest.importorskip("openvino")
    path = tmp_path / "net.onnx"
    path.write_bytes(alien.disguised(find_model("fast").fidelity.read_bytes(), range_="0..255", layout="nhwc"))
    path.with_suffix(".toml").write_text('range = "0..255"\n')
    pixels = photo(64, 64)
    batch = np.ascontiguousarray(pixels.transpose(2, 0, 1)[None], np.float32) / 255
    expected = open_engine(path, EngineSettings(engine="onnxruntime")).run(batch)
    found = open_engine(path, EngineSettings(engine=engine, precision="float32")).run(batch)
    assert np.abs(found - expected).max() < 1e-4
