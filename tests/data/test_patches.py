"""Patches are windows of photos, turned and mirrored, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs the extra `train`")

import torch

from acutance.data.patches import PatchSampler, smooth_ramps
from acutance.data.photo_store import PhotoStore, StoredPhoto
from acutance.errors import ConfigError, InputError

CPU = torch.device("cpu")


def store_of(*pictures):
    """Lay pictures (`h w 3` uint8) behind one another, as a store does."""
    photos, end = [], 0
    for index, picture in enumerate(pictures):
        photos.append(StoredPhoto(f"{index}.png", 0, picture.shape[0], picture.shape[1], end))
        end = photos[-1].end
    return PhotoStore(tuple(photos), np.concatenate([picture.ravel() for picture in pictures]))


def numbered(height, width, photo):
    """Make a picture whose every pixel says which it is: row, column, photo."""
    rows, columns = np.mgrid[0:height, 0:width]
    return np.dstack([rows, columns, np.full_like(rows, photo)]).astype(np.uint8)


def draw(sampler, count, seed=0):
    """Draw patches as levels, `n side side 3`."""
    patches = sampler.draw(count, torch.Generator().manual_seed(seed))
    assert patches.dtype == torch.float32
    return np.rint(patches.permute(0, 2, 3, 1).numpy() * 255).astype(int)


def symmetries(square):
    """Yield the eight images of an `s s 3` square under turning and mirroring."""
    for mirrored in (square, square[:, ::-1]):
        for turns in range(4):
            yield np.rot90(mirrored, turns)


SIZES = [(40, 30), (23, 50), (17, 17)]


@pytest.fixture(scope="module")
def three():
    """Three photos of numbered pixels."""
    return [numbered(*size, photo) for photo, size in enumerate(SIZES)]


@pytest.mark.parametrize("side", [1, 2, 7, 16, 17])
def test_every_patch_is_a_window_up_to_symmetry(three, side):
    sampler = PatchSampler(store_of(*three), side_px=side, device=CPU)
    for patch in draw(sampler, 60):
        photo = patch[0, 0, 2]
        top, left = patch[..., 0].min(), patch[..., 1].min()
        window = three[photo][top : top + side, left : left + side]
        assert any(np.array_equal(patch, image) for image in symmetries(window))


def test_all_eight_symmetries_occur_equally_often(three):
    sampler = PatchSampler(store_of(*three), side_px=5, device=CPU)
    counts = np.zeros(8)
    for patch in draw(sampler, 1600):
        top, left = patch[..., 0].min(), patch[..., 1].min()
        window = three[patch[0, 0, 2]][top : top + 5, left : left + 5]
        counts += [np.array_equal(patch, image) for image in symmetries(window)]
    assert counts.sum() == 1600
    assert counts.min() > 200 - 4 * 14  # four standard deviations of 1600 draws of ⅛


def test_every_position_of_every_photo_is_equally_likely(three):
    """All numbered photos have the same gradients, so the choice by energy does not interfere."""
    side = 16
    sampler = PatchSampler(store_of(*three), side_px=side, device=CPU)
    patches = draw(sampler, 4000)
    photos = patches[:, 0, 0, 2]
    positions = np.array([(height - side + 1) * (width - side + 1) for height, width in SIZES])
    shares = np.bincount(photos, minlength=3) / 4000
    np.testing.assert_allclose(shares, positions / positions.sum(), atol=0.03)
    of_first = patches[photos == 0]
    tops, lefts = of_first[..., 0].min(axis=(1, 2)), of_first[..., 1].min(axis=(1, 2))
    assert (tops.min(), tops.max()) == (0, 40 - side)
    assert (lefts.min(), lefts.max()) == (0, 30 - side)
    assert np.bincount(tops).min() > 0.5 * len(tops) / (40 - side + 1)


def test_texture_is_preferred_to_sky():
    """Of two candidates the livelier is taken: 1 − (½)² of the patches, where half of the picture is flat."""
    random = np.random.default_rng(0)
    sky = np.full((200, 400, 3), 180, np.uint8)
    sky[:, 200:] = random.integers(0, 256, (200, 200, 3))
    sampler = PatchSampler(store_of(sky), side_px=8, device=CPU)
    is_flat = np.array([patch.std() == 0 for patch in draw(sampler, 2000)])
    assert is_flat.mean() == pytest.approx(0.25, abs=0.05)


def test_one_candidate_draws_evenly():
    """As the paper crops: the flat half of a picture gives half of the patches."""
    random = np.random.default_rng(0)
    sky = np.full((200, 400, 3), 180, np.uint8)
    sky[:, 200:] = random.integers(0, 256, (200, 200, 3))
    sampler = PatchSampler(store_of(sky), side_px=8, device=CPU, candidates=1)
    is_flat = np.array([patch.std() == 0 for patch in draw(sampler, 2000)])
    assert is_flat.mean() == pytest.approx(0.5, abs=0.05)


def test_without_quarter_turns_patches_are_mirrored_only(three):
    sampler = PatchSampler(store_of(*three), side_px=5, device=CPU, quarter_turns=False)
    counts = {}
    for patch in draw(sampler, 400):
        top, left = patch[..., 0].min(), patch[..., 1].min()
        window = three[patch[0, 0, 2]][top : top + 5, left : left + 5]
        mirrored = {"as it is": window, "h": window[:, ::-1], "v": window[::-1], "both": window[::-1, ::-1]}
        (name,) = [name for name, image in mirrored.items() if np.array_equal(patch, image)]
        counts[name] = counts.get(name, 0) + 1
    assert len(counts) == 4
    assert min(counts.values()) > 100 - 4 * 9  # four standard deviations of 400 draws of ¼


def test_folders_are_mixed_by_weight_whatever_their_sizes(tmp_path):
    """One small photo against four large ones, three to one."""
    from PIL import Image

    from acutance.data.photo_store import open_mixed_store

    for name, level, count, side in (("few", 10, 1, 20), ("many", 200, 4, 60)):
        (tmp_path / name).mkdir()
        for index in range(count):
            Image.fromarray(np.full((side, side, 3), level, np.uint8)).save(tmp_path / name / f"{index}.png")
    store = open_mixed_store([tmp_path / "few", tmp_path / "many"], tmp_path / "store")
    assert [photo.folder for photo in store.photos] == [0, 1, 1, 1, 1]
    again = open_mixed_store([tmp_path / "few", tmp_path / "many"], tmp_path / "store")
    assert again.photos == store.photos

    def share_of_few(**weights):
        sampler = PatchSampler(store, side_px=8, device=CPU, **weights)
        return float((draw(sampler, 4000)[:, 0, 0, 0] == 10).mean())

    assert share_of_few(weights=(3.0, 1.0)) == pytest.approx(0.75, abs=0.03)
    assert share_of_few(weights=(0.0, 1.0)) == 0.0
    assert share_of_few() == pytest.approx(13**2 / (13**2 + 4 * 53**2), abs=0.01)
    with pytest.raises(InputError, match="a folder holds no photo of at least 30 px"):
        PatchSampler(store, side_px=30, device=CPU, weights=(1.0, 1.0))


def test_a_seed_is_a_batch(three):
    sampler = PatchSampler(store_of(*three), side_px=8, device=CPU)
    np.testing.assert_array_equal(draw(sampler, 16, seed=4), draw(sampler, 16, seed=4))
    again = PatchSampler(store_of(*three), side_px=8, device=CPU)
    np.testing.assert_array_equal(draw(sampler, 16, seed=4), draw(again, 16, seed=4))
    assert not np.array_equal(draw(sampler, 16, seed=4), draw(sampler, 16, seed=5))


def test_values_are_the_levels_over_255(three):
    patches = PatchSampler(store_of(*three), side_px=4, device=CPU).draw(8, torch.Generator().manual_seed(0))
    levels = patches * 255
    torch.testing.assert_close(levels, levels.round(), atol=1e-5, rtol=0)


def test_photos_smaller_than_a_patch_are_left_out(three):
    sampler = PatchSampler(store_of(*three), side_px=20, device=CPU)
    assert set(draw(sampler, 200)[:, 0, 0, 2]) == {0, 1}


def test_too_small_photos_are_refused(three):
    with pytest.raises(InputError, match="none of the 3 photos is at least 31 px"):
        PatchSampler(store_of(*three), side_px=31, device=CPU)


def test_a_share_of_the_patches_is_reduced(three) -> None:
    sampler = PatchSampler(store_of(*three), side_px=4, device=CPU, reduced_share=0.5)
    patches = sampler.draw(6, torch.Generator().manual_seed(0))
    assert patches.shape == (6, 3, 4, 4)
    levels = patches * 255
    assert torch.allclose(levels[:3], levels[:3].round(), atol=1e-4), "as they are in the photos"
    assert not torch.allclose(levels[3:], levels[3:].round(), atol=1e-2), "means of four values"
    assert torch.allclose(4 * levels[3:], (4 * levels[3:]).round(), atol=1e-3)
    again = PatchSampler(store_of(*three), side_px=4, device=CPU, reduced_share=0.5)
    assert torch.equal(again.draw(6, torch.Generator().manual_seed(0)), patches)


def test_all_or_none_may_be_reduced_and_other_shares_are_refused(three) -> None:
    draw = torch.Generator().manual_seed(0)
    assert PatchSampler(store_of(*three), side_px=4, device=CPU, reduced_share=1.0).draw(3, draw).shape == (3, 3, 4, 4)
    with pytest.raises(ConfigError, match="reduced_share = 2"):
        PatchSampler(store_of(*three), side_px=4, device=CPU, reduced_share=2.0)


# --- smooth ramps -----------------------------------------------------------------------------------------


def ramps(count, side=32, seed=0):
    return smooth_ramps(count, side, torch.Generator().manual_seed(seed))


def test_ramps_change_slowly_and_evenly():
    """A third difference of what is a parabola in each direction is nothing, but for rounding; where it is not cut."""
    patches = ramps(64, side=32)
    assert patches.shape == (64, 3, 32, 32)
    assert 0 <= patches.min() < patches.max() <= 1
    inside = (patches.amin(dim=(1, 2, 3)) > 0) & (patches.amax(dim=(1, 2, 3)) < 1)
    assert inside.sum() > 16
    for axis in (2, 3):
        assert patches[inside].diff(n=3, dim=axis).abs().max() < 1e-6
        assert patches[inside].diff(dim=axis).abs().max() < 0.1


def test_ramps_span_from_about_a_level_to_most_of_the_range():
    """The luminance of a patch spans at most √2.5 times what was drawn, and its colours some more or less."""
    patches = ramps(1500, side=16)
    span = (patches.amax(dim=(2, 3)) - patches.amin(dim=(2, 3))).amax(dim=1)
    assert span.min() < 1.5 / 255
    assert 0.5 < span.max() <= 1
    assert 0.02 < span.median() < 0.12  # evenly in the logarithm: about the geometric mean of the ends


def test_the_truth_of_a_ramp_is_not_rounded_to_levels():
    levels = 255 * ramps(32)
    off = (levels - levels.round()).abs()
    assert float(off.mean()) == pytest.approx(0.25, abs=0.03)


def test_a_seed_is_a_batch_of_ramps():
    assert torch.equal(ramps(4, seed=1), ramps(4, seed=1))
    assert not torch.equal(ramps(4, seed=1), ramps(4, seed=2))


@pytest.mark.parametrize(
    ("reduced", "ramp", "count"),
    [
        (0.0, 0.5, 8),
        (0.5, 0.25, 8),
        (0.5, 0.5, 8),
        (0.0, 1.0, 5),
        (0.7, 0.3, 10),
    ],
)
def test_as_many_of_a_batch_are_ramps_as_its_share_says(three, reduced, ramp, count):
    sampler = PatchSampler(store_of(*three), side_px=8, device=CPU, reduced_share=reduced, ramp_share=ramp)
    patches = sampler.draw(count, torch.Generator().manual_seed(0))
    assert patches.shape == (count, 3, 8, 8)
    of_reduced = round(reduced * count)
    of_ramps = min(round(ramp * count), count - of_reduced)
    quarters = 4 * 255 * patches
    is_of_photos = ((quarters - quarters.round()).abs() < 1e-2).all(dim=3).all(dim=2).all(dim=1)
    assert is_of_photos.tolist() == [True] * (count - of_ramps) + [False] * of_ramps


@pytest.mark.parametrize(("reduced", "ramp", "count"), [(0.0, 0.03, 8), (0.5, 0.25, 2), (0.5, 0.4, 3)])
def test_small_batches_have_their_share_of_ramps_over_time(three, reduced, ramp, count):
    """Rounded batch by batch, 3 % of eight patches would be none, for ever."""
    sampler = PatchSampler(store_of(*three), side_px=8, device=CPU, reduced_share=reduced, ramp_share=ramp)
    found = []
    for seed in range(600):
        patches = sampler.draw(count, torch.Generator().manual_seed(seed))
        quarters = 4 * 255 * patches
        found.append(int(((quarters - quarters.round()).abs() > 1e-2).flatten(1).any(dim=1).sum()))
    expected = ramp * count
    assert np.mean(found) == pytest.approx(min(expected, count - round(reduced * count)), abs=0.08)
    assert set(found) <= {int(expected), int(expected) + 1}
    again = sampler.draw(count, torch.Generator().manual_seed(3))
    assert torch.equal(again, sampler.draw(count, torch.Generator().manual_seed(3)))


@pytest.mark.parametrize(("reduced", "ramp"), [(0.0, 1.5), (0.0, -0.1), (0.6, 0.5), (0.0, float("nan"))])
def test_shares_of_ramps_that_cannot_be_are_refused(three, reduced, ramp):
    with pytest.raises(ConfigError, match="ramp_share"):
        PatchSampler(store_of(*three), side_px=8, device=CPU, reduced_share=reduced, ramp_share=ramp)
