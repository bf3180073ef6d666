from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from acutance.engines.opening import open_engine
from acutance.errors import CorruptWeights, UnknownModel
from acutance.spec import METADATA_KEY
from acutance.zoo.catalogue import (
    DEFAULT_MODEL,
    FORMER_NAMES,
    ModelPaths,
    ModelRow,
    check_files,
    find_model,
    list_models,
)


@pytest.mark.parametrize("row", list_models(), ids=lambda row: row.name)
def test_every_row_is_true(row: ModelRow) -> None:
    check_files(row)
    assert sum(file.path.stat().st_size for file in row.files.values()) == row.bytes
    engine = open_engine(row.files["fidelity"].path)
    assert engine.spec.name == row.name
    assert engine.spec.weights_sha256
    grey = np.full((1, 3 * (1 + engine.spec.guides), 32, 32), 0.5, np.float32)
    inside = engine.run(grey)[..., 8:-8, 8:-8]
    assert np.abs(inside - 0.5).max() < 2 / 255, "a flat picture must stay flat, without a colour cast"


def test_the_default_is_shipped() -> None:
    assert find_model(DEFAULT_MODEL).fidelity.is_file()


def test_paths_are_taken(tmp_path: Path) -> None:
    path = tmp_path / "own.onnx"
    path.write_bytes(b"x")
    assert find_model(path) == ModelPaths(fidelity=path)
    with pytest.raises(UnknownModel, match="no such file"):
        find_model(tmp_path / "none.onnx")


@pytest.mark.parametrize(
    ("metadata", "command"),
    [
        ({METADATA_KEY: "{}"}, "acutance export {} -o mine.onnx"),
        ({METADATA_KEY: '{"needs_torch": true}'}, "acutance models add {}"),
        ({METADATA_KEY: "3"}, "acutance models add {}"),
        ({}, "acutance models add {}"),
    ],
)
def test_weights_are_refused_with_the_command_that_makes_a_model_of_them(
    tmp_path: Path, metadata: dict[str, str], command: str
) -> None:
    path = tmp_path / "generator.safetensors"
    header = json.dumps({"__metadata__": metadata}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header)
    with pytest.raises(UnknownModel, match=f"run: {re.escape(command.format(path))}$"):
        find_model(path)


def test_unknown_names() -> None:
    with pytest.raises(UnknownModel, match="there are: "):
        find_model("zzzzzzzz")


def test_former_names_lead_on() -> None:
    for former, name in FORMER_NAMES.items():
        assert find_model(name).fidelity.is_file()
        with pytest.raises(UnknownModel, match=f"model '{former}': is no more; '{name}' does this now"):
            find_model(former)


def test_a_changed_file_is_noticed() -> None:
    row = list_models()[0]
    file = row.files["fidelity"]
    with pytest.raises(CorruptWeights, match="not the file that was shipped"):
        check_files(replace(row, files={"fidelity": replace(file, sha256="0" * 64)}))
    with pytest.raises(CorruptWeights, match="cannot be read"):
        check_files(replace(row, files={"fidelity": replace(file, file="weights/none.onnx")}))


def test_all_models_together_stay_small() -> None:
    assert sum(row.bytes for row in list_models()) < 13_000_000
