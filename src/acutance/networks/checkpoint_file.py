"""One file = one trained generator: safetensors with its config and its spec in the metadata. No pickles."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from acutance.config.own_parts import name_of_part
from acutance.errors import ConfigError, CorruptWeights, InputError, first_line
from acutance.networks.any_generator import AnyGenerator
from acutance.networks.generators import CoarserScale, Generator, GeneratorConfig
from acutance.networks.own import OwnGenerator, OwnNetworkConfig
from acutance.spec import METADATA_KEY, ModelSpec, Task

GENERATOR_KEY = "acutance.generator"
"""Key of the generator's config (JSON) in the file's metadata."""

OWN_NETWORK_KEY = "acutance.own_network"
"""Key of the part and its settings (JSON), in its place, where the generator is a network of the user's own."""


def plain(tensor: Tensor) -> Tensor:
    """Return a tensor as it is hashed and written: on the CPU, row by row, as float32; whole numbers stay whole.

    (Batch normalisation counts its batches in int64, which float32 would round from 16 777 216 on.)
    """
    number = torch.float32 if tensor.is_floating_point() else tensor.dtype
    return tensor.detach().to("cpu", number).contiguous()


def weights_sha256(state: dict[str, Tensor]) -> str:
    """Hash names, shapes and plain bytes in sorted order: the identity of the trained numbers, statistics included."""
    digest = hashlib.sha256()
    for name in sorted(state):
        tensor = plain(state[name])
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


def describe(generator: AnyGenerator, *, name: str, training_data: str, licence: str) -> ModelSpec:
    """Derive the spec of a generator from its config and its weights."""
    config = generator.config
    task: Task = "sharpen" if config.scale == 1 else "sharpen-and-enlarge"
    if config.guides:
        task = "remove-motion"
    return ModelSpec(
        name=name,
        task=task,
        scale=config.scale,
        size_multiple=config.size_multiple,
        receptive_radius_px=config.receptive_radius_px,
        halo_px=config.halo_px,
        macs_per_pixel=config.macs_per_pixel,
        parameters=sum(parameter.numel() for parameter in generator.parameters()),
        training_data=training_data,
        licence=licence,
        guides=config.guides,
        feather_px=config.feather_px,
        weights_sha256=weights_sha256(generator.state_dict()),
    )


def generator_bytes(generator: AnyGenerator, spec: ModelSpec) -> bytes:
    """Serialise a generator with its config and spec as safetensors."""
    tensors = {name: plain(tensor) for name, tensor in generator.state_dict().items()}
    metadata = {METADATA_KEY: spec.to_json()}
    config = generator.config
    if isinstance(config, OwnNetworkConfig):
        named = {"part": config.part, "settings": dict(config.settings)}
        metadata[OWN_NETWORK_KEY] = json.dumps(named, sort_keys=True)
    else:
        metadata[GENERATOR_KEY] = json.dumps(dataclasses.asdict(config), sort_keys=True)
    return save(tensors, metadata)


def load_generator(path: Path, *, part: str | None = None) -> tuple[AnyGenerator, ModelSpec]:
    """Read a generator and its spec, strictly: every tensor present and of its shape, spec and hash right.

    Args:
        path: The file.
        part: The class of a network of the user's own, `FILE.py:NAME` or `PACKAGE.MODULE:NAME`. What a file names is
            never run by itself: who reads such a file says what may be run, and where it lies now.

    Raises:
        InputError: When there is no such file.
        ConfigError: When it is a network of the user's own, and no part or another one is given.
        CorruptWeights: When the file is not a generator or is damaged.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such checkpoint file.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
        if METADATA_KEY not in metadata and "progress" in metadata:
            raise CorruptWeights(
                f"{path}: is what a run goes on from, not its result; give generator.safetensors, which lies beside it."
            )
        spec = ModelSpec.from_json(metadata[METADATA_KEY])
        own = json.loads(metadata[OWN_NETWORK_KEY]) if OWN_NETWORK_KEY in metadata else None
        generator = _ours(metadata[GENERATOR_KEY]) if own is None else _own(path, dict(own), part)
        generator.load_state_dict(state, strict=True)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise CorruptWeights(f"{path}: not a generator written by acutance ({first_line(error)}).") from error
    if spec != describe(generator, name=spec.name, training_data=spec.training_data, licence=spec.licence):
        raise CorruptWeights(f"{path}: its weights are not those that its record describes; get it again.")
    return generator.eval(), spec


def _ours(text: str) -> Generator:
    """Build a generator of a config's JSON."""
    values = dict(json.loads(text))
    try:
        coarser = tuple(CoarserScale(**scale) for scale in values.pop("coarser", ()))
        return Generator(GeneratorConfig(**values, coarser=coarser))
    except ConfigError as error:
        raise ValueError(str(error)) from error


def _own(path: Path, named: dict[str, Any], part: str | None) -> OwnGenerator:
    """Build a network of the user's own with the settings of a file."""
    known = str(named["part"])
    if part is None or name_of_part(part) != name_of_part(known):
        given = "its code is run only when it is named" if part is None else f"{part} is another"
        raise ConfigError(f"{path}: is a network of its maker's own, {known}; {given}: give --network {known}.")
    return OwnGenerator(OwnNetworkConfig(part=part, settings=named["settings"]))
