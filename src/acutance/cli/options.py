"""Options that several verbs share, defined once."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from acutance.inference.engine import EngineName


class EngineChoice(StrEnum):
    """What can be given as --engine: the names in `acutance.inference.engine`; a test holds them together."""

    AUTO = "auto"
    ONNXRUNTIME = "onnxruntime"

    @property
    def engine(self) -> EngineName:
        """The name that the library takes."""
        return self.value


Model = Annotated[str, typer.Option("--model", "-m", help="A model's name (see: acutance models) or an .onnx file.")]
Engine = Annotated[EngineChoice, typer.Option(help="What runs the network.")]
Threads = Annotated[int | None, typer.Option(min=1, help="Threads; default one per physical core.")]
Tile = Annotated[
    int | None,
    typer.Option(min=32, help="Side of the tiles in px: less memory when smaller; the result is the same."),
]
MaxPixels = Annotated[
    int | None,
    typer.Option(min=1, help="Refuse pictures with more pixels (protects against decompression bombs)."),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON on stdout.")]
