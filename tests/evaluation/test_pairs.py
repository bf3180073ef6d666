"""Pairs of photos: found by their names, and measured as they are."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from acutance.data.protocol import PAIRED_ROW, ROWS
from acutance.errors import ConfigError, InputError
from acutance.evaluation.baselines import BASELINES
from acutance.evaluation.evaluate import Evaluation, evaluate
from acutance.evaluation.pairs import open_pairs
from acutance.evaluation.report import tables
from acutance.evaluation.restorers import BlindRestorer
from acutance.metrics.psnr import psnr
from acutance.metrics.shifted import psnr_at_best_shift

INPUT = BASELINES[:1]


def save(path, *, seed=0, size=(24, 20)):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (*size, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def names(pair_set, root):
    return [
        (pair.index, pair.blurred.relative_to(root).as_posix(), pair.sharp.relative_to(root).as_posix())
        for pair in pair_set.pairs
    ]


def test_equal_names_in_two_folders_are_pairs(tmp_path):
    for name in ("b/1.png", "a.png"):
        save(tmp_path / "soft" / name)
        save(tmp_path / "crisp" / name)
    found = open_pairs(tmp_path / "soft", tmp_path / "crisp")
    assert found.name == "soft"
    assert names(found, tmp_path) == [(0, "soft/a.png", "crisp/a.png"), (1, "soft/b/1.png", "crisp/b/1.png")]


def test_the_type_of_the_file_may_differ(tmp_path):
    save(tmp_path / "soft" / "a.bmp")
    save(tmp_path / "crisp" / "a.png")
    assert names(open_pairs(tmp_path / "soft", tmp_path / "crisp"), tmp_path) == [(0, "soft/a.bmp", "crisp/a.png")]


def test_folders_called_blur_and_sharp_side_by_side_are_pairs(tmp_path):
    """As the GoPro set has them: GOPR0372/blur/000047.png and GOPR0372/sharp/000047.png."""
    for street in ("one", "two"):
        for kind in ("blur", "sharp"):
            save(tmp_path / street / kind / "000047.png")
    expected = [
        (index, f"{one}/blur/000047.png", f"{one}/sharp/000047.png") for index, one in enumerate(("one", "two"))
    ]
    assert names(open_pairs(tmp_path, tmp_path), tmp_path) == expected
    within = open_pairs(tmp_path / "two" / "blur", tmp_path / "two" / "sharp")
    assert names(within, tmp_path) == [(0, *expected[1][1:])]


def test_of_gopros_two_kinds_of_blur_one_is_taken(tmp_path):
    """The set as it is published: blur, blur_gamma and sharp in every scene."""
    for scene in ("one", "two"):
        for kind in ("blur", "blur_gamma", "sharp"):
            save(tmp_path / scene / kind / "000047.png")
    expected = [
        (index, f"{one}/blur/000047.png", f"{one}/sharp/000047.png") for index, one in enumerate(("one", "two"))
    ]
    assert names(open_pairs(tmp_path, tmp_path), tmp_path) == expected
    for scene in ("one", "two"):
        (tmp_path / scene / "blur" / "000047.png").unlink()
    assert [one[1:] for one in names(open_pairs(tmp_path, tmp_path), tmp_path)] == [
        (f"{scene}/blur_gamma/000047.png", f"{scene}/sharp/000047.png") for scene in ("one", "two")
    ]


def test_folders_may_be_written_with_capitals(tmp_path):
    for kind in ("Blur", "Blur_Gamma", "Sharp"):
        save(tmp_path / kind / "1.png")
    assert names(open_pairs(tmp_path, tmp_path), tmp_path) == [(0, "Blur/1.png", "Sharp/1.png")]


def test_realblurs_layout(tmp_path):
    """blur/blur_1.png and gt/gt_1.png in every scene."""
    for scene in ("scene001", "scene002"):
        for number in (1, 2):
            save(tmp_path / scene / "blur" / f"blur_{number}.png")
            save(tmp_path / scene / "gt" / f"gt_{number}.png")
    assert names(open_pairs(tmp_path, tmp_path), tmp_path) == [
        (index, f"{scene}/blur/blur_{number}.png", f"{scene}/gt/gt_{number}.png")
        for index, (scene, number) in enumerate((one, two) for one in ("scene001", "scene002") for two in (1, 2))
    ]


def test_input_and_target_of_one_tree(tmp_path):
    save(tmp_path / "input" / "a.png")
    save(tmp_path / "target" / "a.png")
    assert names(open_pairs(tmp_path, tmp_path), tmp_path) == [(0, "input/a.png", "target/a.png")]


def test_nothing_is_its_own_partner(tmp_path):
    save(tmp_path / "one" / "blur" / "1.png")
    save(tmp_path / "one" / "sharp" / "1.png")
    save(tmp_path / "preview.png")
    with pytest.raises(InputError, match=r"preview\.png: would be its own partner"):
        open_pairs(tmp_path, tmp_path)


def test_names_that_end_in_blur_and_sharp_are_pairs_within_one_folder(tmp_path):
    for name in ("street_blur1", "street_sharp1", "street_blur2", "street_sharp2", "my_blur_blur", "my_blur_sharp"):
        save(tmp_path / f"{name}.png")
    assert names(open_pairs(tmp_path, tmp_path), tmp_path) == [
        (0, "my_blur_blur.png", "my_blur_sharp.png"),
        (1, "street_blur1.png", "street_sharp1.png"),
        (2, "street_blur2.png", "street_sharp2.png"),
    ]


def test_a_part_of_the_pairs_keeps_their_numbers(tmp_path):
    for number in range(5):
        save(tmp_path / f"{number}_blur.png")
        save(tmp_path / f"{number}_sharp.png")
    assert [pair.index for pair in open_pairs(tmp_path, tmp_path, every=2, limit=2).pairs] == [0, 2]
    with pytest.raises(ConfigError, match="every = 0"):
        open_pairs(tmp_path, tmp_path, every=0)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            ("soft/a.png", "soft/b.png", "crisp/a.png"),
            r"soft: b\.png has no partner in .*crisp; pairs have equal names",
        ),
        (("soft/a.png", "crisp/a.png", "crisp/b.png"), r"crisp: b\.png has no partner in .*soft"),
        (("soft/a.png", "soft/a.bmp", "crisp/a.png"), r"a\.bmp and .*a\.png would be the same half of one pair"),
        (("soft/a_sharp.png", "crisp/a.png"), r"soft: no photo is of its kind"),
        (("soft/a.png",), r"crisp: no such folder"),
    ],
)
def test_what_has_no_partner_is_said_and_nothing_is_skipped(tmp_path, files, message):
    for name in files:
        save(tmp_path / name)
    with pytest.raises(InputError, match=message):
        open_pairs(tmp_path / "soft", tmp_path / "crisp")


def test_a_pair_is_measured_as_it_is(tmp_path):
    sharp = save(tmp_path / "crisp" / "a.png", size=(40, 36))
    blurred = np.roll(sharp, 2, axis=1)
    (tmp_path / "soft").mkdir()
    Image.fromarray(blurred).save(tmp_path / "soft" / "a.png")
    seen, shares = [], []

    def keep(degraded):
        seen.append(degraded)
        return degraded

    restorers = [*BASELINES, BlindRestorer("keep", keep)]
    evaluation = evaluate(
        [open_pairs(tmp_path / "soft", tmp_path / "crisp")], [PAIRED_ROW], restorers, progress=shares.append
    )
    first, second = evaluation.measurements  # the filters are told no kernel, and have nothing to say
    assert (first.test_set, first.photo, first.row, first.restorer) == ("soft", "a.png", "paired", "input")
    assert second.restorer == "keep"
    assert first.scores == second.scores
    assert first.scores.psnr_db == psnr(blurred, sharp)
    assert first.scores.psnr_shifted_db == psnr_at_best_shift(blurred, sharp).psnr_db > first.scores.psnr_db + 3
    np.testing.assert_array_equal(seen[0], blurred)
    assert shares == [1.0]
    right, _, shifted = tables(evaluation)
    assert right.lines[0][0] == shifted.lines[0][0] == "paired"


def test_sizes_that_differ_end_it_by_name(tmp_path):
    save(tmp_path / "a_blur.png")
    save(tmp_path / "a_sharp.png", size=(24, 22))
    with pytest.raises(InputError, match=r"a_blur\.png and .*a_sharp\.png have 20×24 and 22×24 px; .* of one size"):
        evaluate([open_pairs(tmp_path, tmp_path)], [PAIRED_ROW], INPUT)
    with pytest.raises(ConfigError, match="restorers named input"):
        evaluate([open_pairs(tmp_path, tmp_path)], [PAIRED_ROW], [*INPUT, *INPUT])


def test_paired_is_no_row_that_photos_could_be_degraded_by():
    assert PAIRED_ROW not in ROWS
    assert PAIRED_ROW.name not in {row.name for row in ROWS}
    assert Evaluation(()).means == ()
