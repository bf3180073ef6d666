"""The shipped models behind the server: looked up, opened once, closed when others are wanted."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from acutance.errors import ConfigError, UnknownModel
from acutance.server.models import ModelSettings, OpenedModels, check_choice
from acutance.server.options import ModelChoice
from acutance.zoo.catalogue import AUTO, DEFAULT_MODEL, find_model, list_models


@pytest.fixture
def own_file(tmp_path):
    """A model file that is the user's own."""
    return shutil.copy(find_model(DEFAULT_MODEL).fidelity, tmp_path / "mine.onnx")


def test_what_is_shipped_is_offered_with_the_default_first() -> None:
    models = OpenedModels(ModelSettings(threads=1, max_pixels=10_000))
    assert models.offered[0].name == AUTO
    assert {model.name for model in models.offered} == {AUTO, *(row.name for row in list_models())}
    assert models.offered[0].spec.scale == 1


def test_a_model_that_looks_at_the_whole_runs() -> None:
    models = OpenedModels(ModelSettings(names=("motion",), threads=1, max_pixels=10_000))
    with models.borrow(ModelChoice(name="motion")) as sharpener:
        assert sharpener.spec.needs_whole
        assert sharpener(np.zeros((80, 70, 3), np.uint8)).shape == (80, 70, 3)
    models.close()


def test_a_former_name_is_told() -> None:
    with pytest.raises(UnknownModel, match="'motion' does this now"):
        OpenedModels(ModelSettings(names=("shake",), threads=1, max_pixels=10_000))


def test_files_are_offered_by_their_stems_and_no_other_file_is_reached(own_file) -> None:
    models = OpenedModels(ModelSettings(names=(str(own_file),), threads=1, max_pixels=10_000))
    assert [model.name for model in models.offered] == ["mine"]
    with models.borrow(ModelChoice(name="mine")) as sharpener:
        assert sharpener(np.zeros((8, 8, 3), np.uint8)).shape == (8, 8, 3)
    for name in (str(own_file), DEFAULT_MODEL, "../mine"):
        with pytest.raises(UnknownModel, match="not offered"), models.borrow(ModelChoice(name=name)):
            pass
        with pytest.raises(ConfigError, match="there are mine"):
            check_choice(models.offered, ModelChoice(name=name))
    models.close()


def test_two_of_one_name(own_file, tmp_path) -> None:
    (tmp_path / "below").mkdir()
    other = shutil.copy(own_file, tmp_path / "below" / "mine.onnx")
    with pytest.raises(ConfigError, match="one name"):
        OpenedModels(ModelSettings(names=(str(own_file), str(other)), max_pixels=1))
    with pytest.raises(UnknownModel):
        OpenedModels(ModelSettings(names=("nonesuch",), max_pixels=1))


def test_a_network_is_opened_once_and_closed_for_others(own_file) -> None:
    models = OpenedModels(
        ModelSettings(names=(DEFAULT_MODEL, str(own_file)), threads=1, max_pixels=10_000), kept_open=1
    )
    first, second = ModelChoice(name=DEFAULT_MODEL), ModelChoice(name="mine")
    with models.borrow(first) as one, models.borrow(first) as same:
        assert one is same
        with models.borrow(second) as other:
            assert other is not one
        assert one(np.zeros((4, 4, 3), np.uint8)).shape == (4, 4, 3), "what is in use stays open"
    with models.borrow(first) as again:
        assert again is one, "it was used last"
    with models.borrow(second):
        pass
    with models.borrow(first) as anew:
        assert anew is not one
    models.close()


def test_what_no_run_could_give_is_refused_at_once(own_file) -> None:
    offered = OpenedModels(
        ModelSettings(names=(str(own_file),), engine="onnxruntime", threads=1, max_pixels=10_000)
    ).offered
    check_choice(offered, ModelChoice(name="mine", fidelity=1.0, precision="auto"))
    with pytest.raises(ConfigError, match="perceptual"):
        check_choice(offered, ModelChoice(name="mine", fidelity=0.5))
    with pytest.raises(ConfigError, match="precision: mine is run here in float32"):
        check_choice(offered, ModelChoice(name="mine", precision="bfloat16"))
