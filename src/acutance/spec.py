"""`ModelSpec`: all that a caller has to know about a model, and the only thing that it may ask.

The spec travels inside the model: as JSON in a safetensors checkpoint's metadata and in an ONNX file's
metadata. No caller looks at a model's name to decide what to do with it.
"""

from __future__ import annotations

import json
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, Literal, get_args

from acutance.errors import CorruptWeights, first_line

METADATA_KEY = "acutance.spec"
"""Key of the spec's JSON in the metadata of safetensors and ONNX files."""

CHECKPOINT_HEAD_BYTES = 2**20
"""How much of a file's beginning `is_checkpoint` wants to see."""

SPEC_FORMAT = 1
"""Version of the JSON; a reader refuses a newer one."""

Task = Literal["sharpen", "sharpen-and-enlarge", "remove-motion"]
"""What a model does. `remove-motion`: what blurred the picture is looked for in the picture as a whole
(`acutance.estimation`), and the network is told by pictures that are deconvolved with that kernel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """What a model is, takes and gives.

    Every model takes and gives float32 RGB `n 3 h w` in [0, 1], in the file's own (gamma) colour space; with `guides`,
    it takes `n 3·(1 + guides) h w`.
    """

    name: str
    """Name in the zoo, e.g. `fast`."""
    task: Task
    """What it is for."""
    scale: int
    """Output size over input size: of acutance's own models 1 or 2; of others any whole number."""
    size_multiple: int
    """Input height and width must be multiples of this; the caller pads by reflection."""
    receptive_radius_px: int
    """How far, in input px, an output pixel looks in each direction."""
    halo_px: int
    """Context in input px that a tile needs on each side, when tiles start at multiples of `size_multiple`,
    for its output to be that of the whole image."""
    macs_per_pixel: int
    """Multiply-accumulate operations per input pixel."""
    parameters: int
    """Number of trained numbers."""
    training_data: str
    """What it was trained on, in one line."""
    licence: str
    """Licence of the weights, SPDX."""
    guides: int = 0
    """Deconvolved pictures that the network is given beside the degraded one, as further channels, three each."""
    fixed_height_px: int = 0
    fixed_width_px: int = 0
    """The one size that the network takes, or 0 and 0: any size."""
    feather_px: int = 0
    """0: tiles are exact. Else the network looks at more than a halo, or takes one size alone; its tiles overlap by so
    much, in input px, and are blended there."""
    tile_px: int = 0
    """Side of the tiles unless another is asked for; 0 is acutance's own."""
    needs_torch: bool = False
    """Whether ONNX cannot hold the network: its file is weights alone, and torch runs them by their architecture."""
    weights_sha256: str = ""
    """Hash of the trained numbers (names, shapes and float32 bytes, whole numbers as they are, in sorted order): the
    same for a checkpoint and for every file exported from it."""

    @property
    def is_own(self) -> bool:
        """Whether acutance made it, which counts what a network costs; what others made is known by probing alone."""
        return self.macs_per_pixel > 0

    @property
    def needs_whole(self) -> bool:
        """Whether it looks at a picture as a whole: it takes photos, but no videos, and nothing in strips."""
        return self.task == "remove-motion"

    @property
    def takes_strips(self) -> bool:
        """Whether a picture can be given to it in strips."""
        return self.feather_px == 0 and not self.needs_whole

    @property
    def tiles_in_words(self) -> str:
        """How its tiles fit together: "its tiles are …"."""
        if self.feather_px:
            return f"overlapping by {self.feather_px} px, and blended there"
        return f"exact, with {self.halo_px} px of context"

    def to_json(self) -> str:
        """Write the spec as one line of JSON."""
        return json.dumps({"format": SPEC_FORMAT, **asdict(self)}, ensure_ascii=False, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> ModelSpec:
        """Read what `to_json` wrote.

        Raises:
            CorruptWeights: When the text is not a spec or is of a newer format.
        """
        try:
            values: dict[str, Any] = json.loads(text)
            version = values.pop("format")
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise CorruptWeights(
                f"the model's spec cannot be read ({first_line(error)}); get the file again."
            ) from error
        if version != SPEC_FORMAT:
            raise CorruptWeights(
                f"the model's spec has format {version}, this acutance reads {SPEC_FORMAT}; upgrade acutance."
            )
        needed = {field.name for field in fields(cls) if field.default is MISSING}
        unknown = set(values) - {field.name for field in fields(cls)}
        if unknown or needed - set(values):
            different = ", ".join(sorted(unknown | needed - set(values)))
            raise CorruptWeights(f"the model's spec has missing or unknown entries ({different}).")
        if values["task"] not in get_args(Task):
            raise CorruptWeights(
                f"the model's task is {values['task']!r}, this acutance knows {', '.join(get_args(Task))}; use the "
                "acutance that wrote the file, or export the weights again."
            )
        return cls(**values)


def is_checkpoint(head: bytes) -> bool:
    """Say whether a safetensors file that begins so is a checkpoint of a run: described by us, and to be exported."""
    try:
        header = json.loads(head[8 : 8 + int.from_bytes(head[:8], "little")])
        spec = json.loads(header["__metadata__"][METADATA_KEY])
        return not spec.get("needs_torch")
    except (ValueError, LookupError, TypeError, AttributeError):
        return False
