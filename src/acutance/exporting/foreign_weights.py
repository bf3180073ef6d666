"""Weights that others trained in torch (.pth, .safetensors), as an ONNX network: converted once, then used as any.

The network is traced with a picture of one size, and what comes out is compared with torch's answer at other sizes.
Where it does not hold there (attention that counts its windows while it is traced), it is traced for one fixed size and
tiled by that. What cannot be traced at all stays weights, which torch runs.
"""

from __future__ import annotations

from acutance.engines.adding import Converted
from acutance.engines.foreign import Fact
from acutance.engines.torch_weights import TorchNetwork, adopt_weights, network_of, read_weights, weights_file
from acutance.exporting.export import PARITY_LIMIT
from acutance.exporting.tracing import traced


def convert_weights(content: bytes, name: str) -> Converted:
    """Convert weights of torch to an ONNX network, or to weights that torch runs.

    Args:
        content: The file: a state dict as torch saves it, or safetensors.
        name: Of the file, with its folder.

    Returns:
        The network: `n 3 h w` → `n 3 h·scale w·scale`, float32 RGB in [0, 1], of any size or of one.

    Raises:
        CorruptWeights: When the file is damaged, holds more than weights, or is of no architecture that is known and
            restores photos.
        EngineUnavailable: When spandrel is not installed.
    """
    return convert_network(network_of(read_weights(content, name), name))


def convert_network(network: TorchNetwork) -> Converted:
    """Convert a network; see `convert_weights`."""
    graph, reason = None, ""
    if not network.is_square:
        graph, reason = traced(network.module, network.side_px, multiple=network.multiple, limit=PARITY_LIMIT)
    if graph is None:
        graph, reason = traced(network.module, network.fixed_px, multiple=None, limit=PARITY_LIMIT)
    facts = (Fact("architecture", network.title, "by its weights"),)
    if graph is not None:
        return Converted(graph, network.told, facts)
    why = Fact("run by", f"torch, as ONNX cannot hold it: {reason.partition('. ')[0]}", "found by probing")
    return Converted(weights_file(network.weights), network.told, (*facts, why), adopt=adopt_weights)
