"""Photos taken blurred and sharp: stored together, drawn from the same places."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch", reason="needs the extra `train`")

import torch

from acutance.data.pairs import open_paired_store
from acutance.data.patches import PatchSampler
from acutance.errors import InputError

CPU = torch.device("cpu")


def save(path, pixels):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


def positions(height, width, number):
    """Give a picture whose pixels say which photo, row and column they are of."""
    y, x = np.mgrid[0:height, 0:width]
    return np.dstack([np.full_like(y, number), y, x]).astype(np.uint8)


@pytest.fixture
def gopro(tmp_path):
    """Three pairs of two sizes in GoPro's layout; the blurred half is the sharp one's negative."""
    for number, (height, width) in enumerate(((30, 40), (24, 36), (30, 40))):
        sharp = positions(height, width, number)
        save(tmp_path / "train" / f"GOPR{number}" / "sharp" / "000001.png", sharp)
        save(tmp_path / "train" / f"GOPR{number}" / "blur" / "000001.png", 255 - sharp)
    return tmp_path / "train"


def test_both_halves_of_every_pair_are_stored(gopro, tmp_path):
    store = open_paired_store(gopro, gopro, tmp_path / "store")
    assert store.is_paired
    assert [photo.name for photo in store.photos] == [f"GOPR{number}/blur/000001.png" for number in range(3)]
    for index in range(3):
        np.testing.assert_array_equal(store.blurred(index), 255 - store.photo(index))
        assert int(store.photo(index)[0, 0, 0]) == index


@pytest.mark.parametrize("quarter_turns", [True, False])
@pytest.mark.parametrize("candidates", [1, 2])
def test_patches_are_of_the_same_places(gopro, tmp_path, candidates, quarter_turns):
    store = open_paired_store(gopro, gopro, tmp_path / "store")
    sampler = PatchSampler(store, side_px=6, device=CPU, candidates=candidates, quarter_turns=quarter_turns)
    blurred, sharp = sampler.draw_pair(64, torch.Generator().manual_seed(0))
    torch.testing.assert_close(blurred, 1.0 - sharp)
    rows = (sharp[:, 1] * 255).round().amax(dim=(1, 2))
    assert rows.max() <= 29, "never of the blurred photo, which lies below"
    assert set((sharp[:, 0, 0, 0] * 255).round().int().tolist()) == {0, 1, 2}
    again, _ = sampler.draw_pair(64, torch.Generator().manual_seed(0))
    assert torch.equal(again, blurred)


def test_a_change_of_either_half_is_noticed(gopro, tmp_path):
    open_paired_store(gopro, gopro, tmp_path / "store")
    path = gopro / "GOPR1" / "blur" / "000001.png"
    save(path, positions(24, 36, 77))
    store = open_paired_store(gopro, gopro, tmp_path / "store")
    (index,) = [number for number, photo in enumerate(store.photos) if photo.name.startswith("GOPR1")]
    np.testing.assert_array_equal(store.blurred(index), positions(24, 36, 77))


def test_pairs_of_different_sizes_are_skipped_and_said(gopro, tmp_path):
    save(gopro / "GOPR2" / "sharp" / "000001.png", positions(30, 38, 2))
    store = open_paired_store(gopro, gopro, tmp_path / "store")
    assert len(store.photos) == 2
    ((name, reason),) = [(skip.name, skip.reason) for skip in store.skipped]
    assert name == "GOPR2/blur/000001.png"
    assert reason == "the photos of a pair must be of one size, these have 38×30 and 40×30 px"


def test_a_photo_without_a_partner_is_named(gopro, tmp_path):
    (gopro / "GOPR1" / "sharp" / "000001.png").unlink()
    with pytest.raises(InputError, match="has no partner"):
        open_paired_store(gopro, gopro, tmp_path / "store")
