from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="exporting needs the extra 'train'")

from acutance.errors import CorruptWeights, OutputError  # noqa: E402
from acutance.exporting.export import PARITY_LIMIT, export_onnx, parity  # noqa: E402
from acutance.exporting.onnx_graph import build_onnx  # noqa: E402
from acutance.inference.engine import open_engine  # noqa: E402
from acutance.networks.checkpoint_file import describe, generator_bytes  # noqa: E402
from acutance.networks.generators import GeneratorConfig, NonBNResG  # noqa: E402

SHAPES = [
    GeneratorConfig(width=8, num_blocks=2),
    GeneratorConfig(width=8, num_blocks=1, unshuffle=2),
    GeneratorConfig(width=8, num_blocks=1, unshuffle=4, head_kernel=5),
    GeneratorConfig(width=8, num_blocks=1, head_kernel=9, tail_kernel=9, global_residual=False),
    GeneratorConfig(width=8, num_blocks=0, unshuffle=2, tail_kernel=1),
    GeneratorConfig(width=8, num_blocks=1, scale=2),
    GeneratorConfig(width=8, num_blocks=1, unshuffle=2, scale=2),
    GeneratorConfig(width=8, num_blocks=1, unshuffle=2, scale=2, global_residual=False),
]


def loud_generator(config: GeneratorConfig) -> NonBNResG:
    """A generator whose every weight matters: random biases and slopes, no quiet branches."""
    torch.manual_seed(1)
    generator = NonBNResG(config)
    for parameter in generator.parameters():
        parameter.data.add_(0.05 * torch.randn_like(parameter))
    return generator.eval()


@pytest.mark.parametrize("config", SHAPES, ids=str)
def test_onnx_gives_what_torch_gives(config: GeneratorConfig) -> None:
    generator = loud_generator(config)
    spec = describe(generator, name="test", training_data="none", licence="Apache-2.0")
    model = build_onnx(generator, spec).SerializeToString()
    assert parity(generator, model) <= PARITY_LIMIT


def test_the_file_describes_itself(tmp_path: Path) -> None:
    generator = loud_generator(SHAPES[1])
    spec = describe(generator, name="mine", training_data="noise", licence="CC0-1.0")
    checkpoint = tmp_path / "generator.safetensors"
    checkpoint.write_bytes(generator_bytes(generator, spec))
    report = export_onnx(checkpoint, tmp_path / "mine.onnx")
    assert open_engine(report.path).spec == spec == report.spec
    assert report.bytes == report.path.stat().st_size
    assert report.path.read_bytes() == build_onnx(generator, spec).SerializeToString(), "not reproducible"
    with pytest.raises(OutputError, match="exists"):
        export_onnx(checkpoint, tmp_path / "mine.onnx")


def test_diverged_weights_are_not_exported(tmp_path: Path) -> None:
    generator = loud_generator(SHAPES[1])
    generator.tail.bias.data.fill_(float("nan"))
    spec = describe(generator, name="bad", training_data="none", licence="CC0-1.0")
    (tmp_path / "bad.safetensors").write_bytes(generator_bytes(generator, spec))
    with pytest.raises(CorruptWeights, match="differs from torch"):
        export_onnx(tmp_path / "bad.safetensors", tmp_path / "bad.onnx")
    assert not (tmp_path / "bad.onnx").exists()


def test_negative_slopes_survive() -> None:
    """A PReLU may learn any slope; LeakyReLU takes it as it is."""
    generator = loud_generator(SHAPES[0])
    generator.head_activation.weight.data.fill_(-0.7)
    spec = describe(generator, name="test", training_data="none", licence="CC0-1.0")
    assert parity(generator, build_onnx(generator, spec).SerializeToString()) <= PARITY_LIMIT
    assert np.isfinite(generator.head_activation.weight.item())
