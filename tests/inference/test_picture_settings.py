"""What is done with pictures, as a value: checked where it is made, and asked instead of its fields."""

from __future__ import annotations

from dataclasses import replace

import pytest

from acutance.engines.engine import USUAL, EngineSettings
from acutance.engines.fake import FAKE_SPEC, FakeEngine
from acutance.errors import ConfigError
from acutance.inference.photo_sharpener import PhotoSharpener
from acutance.inference.picture_settings import WHOLE, PictureSettings
from acutance.inference.tiling import DEFAULT_TILE_PX
from acutance.inference.told import Region, ToldBlur

REGION = Region(x=1, y=2, width=20, height=20)


@pytest.mark.parametrize(
    ("kind", "values", "words"),
    [
        (PictureSettings, {"tile_px": 31}, "tile = 31 px: must be at least 32."),
        (PictureSettings, {"threads": 0}, "threads = 0: must be at least 1, or left out."),
        (EngineSettings, {"threads": -1}, "threads = -1: must be at least 1, or left out."),
        (EngineSettings, {"fidelity": float("nan")}, "fidelity = nan: must lie within 0 … 1."),
        (EngineSettings, {"ensemble": 3}, "ensemble = 3: must be one of 1, 2, 4, 8."),
        (EngineSettings, {"engine": "tpu"}, "engine 'tpu': unknown; there are auto, cpu, gpu, "),
        (EngineSettings, {"precision": "int8"}, "precision 'int8': unknown; there are auto, float32, "),
    ],
)
def test_what_is_out_of_range_is_refused_where_it_is_said(kind, values, words) -> None:
    with pytest.raises(ConfigError) as refused:
        kind(**values)
    assert str(refused.value).startswith(words)


def test_tiles_are_as_told_or_the_models_or_the_usual() -> None:
    of_others = replace(FAKE_SPEC, tile_px=96)
    assert PictureSettings(tile_px=40).tile_of(of_others) == 40
    assert WHOLE.tile_of(of_others) == 96
    assert WHOLE.tile_of(FAKE_SPEC) == DEFAULT_TILE_PX


def test_a_region_is_not_corrected_whoever_asks_for_it() -> None:
    assert PictureSettings(back_projection=True).corrects(FAKE_SPEC)
    assert not PictureSettings(back_projection=True, region=REGION).corrects(FAKE_SPEC)


def test_what_was_told_is_put_in_words() -> None:
    assert WHOLE.words == ""
    told = PictureSettings(told=ToldBlur.motion(12, degrees=30), region=REGION)
    assert told.words == "motion 12px@30deg, region 1,2,20,20"


def test_a_sharpener_knows_what_it_was_told() -> None:
    with PhotoSharpener("fast", EngineSettings(engine="onnxruntime", threads=1), PictureSettings(threads=1)) as fast:
        assert fast.engine_settings == EngineSettings(engine="onnxruntime", threads=1)
        other = fast.told(region=REGION)
    assert (fast.settings.region, other.settings.region, other.threads) == (None, REGION, 1)
    assert PhotoSharpener(engine=FakeEngine()).engine_settings is USUAL
