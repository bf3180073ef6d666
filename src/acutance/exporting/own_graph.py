"""A network of the user's own as an ONNX file: traced, compared with torch, and held to what it says of itself."""

from __future__ import annotations

from dataclasses import replace

import torch

from acutance.engines.foreign import adopt
from acutance.engines.foreign_graph import with_spec
from acutance.engines.foreign_told import Told
from acutance.engines.torch_weights import noise
from acutance.errors import ConfigError
from acutance.exporting.tracing import TRACED_PX, traced
from acutance.geometry import ceil_to_multiple
from acutance.networks.own import OwnGenerator
from acutance.spec import ModelSpec

SAME = 1e-5
"""Values in [0, 1] that differ by no more are the same: torch computes other sizes in another order."""


def own_as_onnx(generator: OwnGenerator, spec: ModelSpec, *, limit: float) -> tuple[bytes, ModelSpec]:
    """Trace a network of the user's own, and check, or look for, how far it looks.

    Args:
        generator: In eval mode.
        spec: Its description.
        limit: Largest difference to torch that is allowed, of values in [0, 1].

    Returns:
        The ONNX file, and the spec inside: where the network says no reach, with what was found.

    Raises:
        ConfigError: When it cannot be traced for pictures of any size, or looks farther than it says.
    """
    config = generator.config
    multiple, said = config.size_multiple, config.reach_px
    graph, reason = traced(generator, ceil_to_multiple(TRACED_PX, multiple), multiple=multiple, limit=limit)
    if graph is None:
        raise ConfigError(f"{config.part}: cannot be exported to ONNX for pictures of any size ({reason}).")
    told = Told(range="0..1", colours="rgb", layout="nchw", multiple=multiple)
    if said is not None and _is_exact(generator, said):
        file = adopt(graph, name=spec.name, told=replace(told, reach=max(said, 1))).file
        return with_spec(file, spec), spec
    adopted = adopt(graph, name=spec.name, told=told)
    found = adopted.spec
    if said is not None:
        known = "more than could be found" if found.feather_px else f"{found.receptive_radius_px} px were found"
        raise ConfigError(
            f"{config.part}: reach_px = {said}, size_multiple = {multiple}: tiles cut by that would show seams; it "
            f'looks farther ({known}, at multiples of {found.size_multiple}): say so, or "unknown".'
        )
    whole = replace(
        spec,
        size_multiple=found.size_multiple,
        receptive_radius_px=found.receptive_radius_px,
        halo_px=found.halo_px,
        feather_px=found.feather_px,
        tile_px=found.tile_px,
    )
    return with_spec(adopted.file, whole), whole


@torch.no_grad()
def _is_exact(generator: OwnGenerator, reach_px: int) -> bool:
    """Return whether a part of a picture comes out as in the whole, once it has so much around it on every side."""
    step, scale = generator.config.size_multiple, generator.config.scale
    halo = ceil_to_multiple(reach_px, step)
    part = ceil_to_multiple(16, step)
    side = 2 * halo + part
    whole = noise((side + step, side + step))
    expected = generator(whole)
    for top, left in ((0, 0), (step, step)):
        found = generator(whole[..., top : top + side, left : left + side])
        inner = slice(halo * scale, (halo + part) * scale)
        rows = slice((top + halo) * scale, (top + halo + part) * scale)
        columns = slice((left + halo) * scale, (left + halo + part) * scale)
        if not bool((expected[..., rows, columns] - found[..., inner, inner]).abs().max() <= SAME):
            return False
    return True
