"""Measured kernels from files: what is one, and what is said about anything else."""

from __future__ import annotations

import zipfile

import numpy as np
import pytest

from acutance.data.kernel_file import load_kernel, load_psfs, save_kernel
from acutance.errors import InputError, OutputError
from acutance.imaging.kernels import line_psf
from acutance.media import Photo, write_photo


def test_kernels_are_read_in_the_files_order_and_scaled_to_unit_sum(tmp_path):
    path = tmp_path / "k.npz"
    np.savez(path, k2=np.full((3, 5), 2.0, np.float32), k10=np.eye(4, dtype=np.uint8), a=np.ones((1, 1)))
    first, second, third = load_psfs(path)
    np.testing.assert_allclose(first, np.full((3, 5), 1 / 15))
    np.testing.assert_allclose(second, np.eye(4) / 4)
    assert third.tolist() == [[1.0]]
    assert first.dtype == second.dtype == third.dtype == np.float64


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (np.ones(3), "2-D"),
        (np.ones((2, 2, 2)), "2-D"),
        (np.ones((0, 3)), "2-D"),
        (np.array([["a"]]), "2-D"),
        (np.zeros((3, 3)), "not all zero"),
        (np.array([[2.0, -1.0]]), "not negative"),
        (np.array([[1.0, np.nan]]), "finite"),
        (np.array([[1.0, np.inf]]), "finite"),
    ],
)
def test_what_is_no_kernel_is_refused_by_name(tmp_path, array, reason):
    path = tmp_path / "k.npz"
    np.savez(path, good=np.ones((3, 3)), bad=array)
    with pytest.raises(InputError, match=f"bad.*{reason}"):
        load_psfs(path)


def test_files_that_hold_no_kernels_are_one_clear_sentence(tmp_path):
    with pytest.raises(InputError, match="does not exist"):
        load_psfs(tmp_path / "missing.npz")
    with pytest.raises(InputError, match="cannot be read"):
        load_psfs(tmp_path)
    for name, content in {"empty.npz": b"", "text.npz": b"hello", "cut.npz": b"PK\x03\x04rest"}.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match="cannot be read"):
            load_psfs(tmp_path / name)
    np.save(tmp_path / "one.npy", np.ones((3, 3)))
    with pytest.raises(InputError, match="cannot be read"):
        load_psfs(tmp_path / "one.npy")
    np.savez(tmp_path / "none.npz")
    with pytest.raises(InputError, match="no arrays"):
        load_psfs(tmp_path / "none.npz")
    np.savez(tmp_path / "pickled.npz", k=np.array([{"a": 1}], dtype=object))
    with pytest.raises(InputError, match="cannot be read"):
        load_psfs(tmp_path / "pickled.npz")


def test_an_archive_of_other_files_is_refused(tmp_path):
    path = tmp_path / "k.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(InputError, match=r"readme.txt.*2-D"):
        load_psfs(path)


def test_a_damaged_archive_is_one_clear_sentence(tmp_path):
    path = tmp_path / "k.npz"
    np.savez_compressed(path, k=np.random.default_rng(0).uniform(0, 1, (25, 25)))
    content = bytearray(path.read_bytes())
    content[200:260] = bytes(60)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"k.npz.* damaged|cannot be read"):
        load_psfs(path)


@pytest.mark.parametrize("name", ["k.npz", "k.png", "k.tif", "k.jpg"])
def test_a_kernel_comes_back_from_its_file(tmp_path, name):
    psf = line_psf(11.0, 0.5)
    save_kernel(psf, tmp_path / name)
    again = load_kernel(tmp_path / name)
    assert again.shape == psf.shape
    np.testing.assert_allclose(again, psf, atol=0 if name == "k.npz" else 0.0005 if name != "k.jpg" else 0.01)


def test_a_kernel_to_tell_is_one(tmp_path):
    np.savez(tmp_path / "two.npz", a=np.ones((3, 3)), b=np.ones((3, 3)))
    with pytest.raises(InputError, match="holds 2 kernels"):
        load_kernel(tmp_path / "two.npz")
    save_kernel(np.ones((3, 3)), tmp_path / "white.png")
    np.testing.assert_allclose(load_kernel(tmp_path / "white.png"), 1 / 9)
    black = Photo(pixels=np.zeros((5, 5, 1), np.uint8))
    write_photo(black, tmp_path / "black.png")
    with pytest.raises(InputError, match="not all zero"):
        load_kernel(tmp_path / "black.png")
    with pytest.raises(OutputError, match="exists"):
        save_kernel(np.ones((3, 3)), tmp_path / "two.npz")
