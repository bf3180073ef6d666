from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from acutance.errors import ConfigError, InputError, OutputError
from acutance.media import plan_outputs, raw

HEADS = {
    "jpg": b"\xff\xd8\xff\xe0",
    "png": b"\x89PNG\r\n\x1a\n",
    "webp": b"RIFF\0\0\0\0WEBPVP8 ",
    "tif": b"II*\0",
    "bmp": b"BM",
    "gif": b"GIF89a",
}


@pytest.fixture
def make(tmp_path):
    """Make files below a folder; the content is that of their ending, or of the one after a colon."""

    def make_files(*names: str) -> Path:
        for entry in names:
            name, _, kind = entry.partition(":")
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(HEADS.get(kind or path.suffix[1:].lower(), b"something"))
        return tmp_path

    return make_files


def plan(root: Path, *sources: str, output: str | None = None, **options: bool | list[str]) -> list[tuple[str, str]]:
    files = plan_outputs([root / source for source in sources], None if output is None else root / output, **options)
    return [(file.source.relative_to(root).as_posix(), file.target.relative_to(root).as_posix()) for file in files]


@pytest.mark.parametrize(
    ("source", "target"),
    [
        ("cat.jpg", "cat.sharp.jpg"),
        ("CAT.JPEG", "CAT.sharp.JPEG"),
        ("a.b.png", "a.b.sharp.png"),
        ("cat.bmp", "cat.sharp.bmp"),
        ("cat.jpg:png", "cat.sharp.png"),
        ("cat:tif", "cat.sharp.tif"),
        ("cat.dat:jpg", "cat.sharp.jpg"),
        ("cat.txt", "cat.sharp.png"),  # reading it will say that it is no photo
        ("cat.sharp.jpg", "cat.sharp.sharp.jpg"),  # asked for by name
    ],
)
def test_one_photo_goes_beside_itself(make, source, target):
    assert plan(make(source), source.partition(":")[0]) == [(source.partition(":")[0], target)]


@pytest.mark.parametrize(
    ("output", "options", "target"),
    [
        ("dog.png", {}, "dog.png"),
        ("new", {}, "new/cat.jpg"),
        ("there", {}, "there/cat.jpg"),
        ("there.png", {}, "there.png/cat.jpg"),
        ("new.d", {"output_is_folder": True}, "new.d/cat.jpg"),
        ("deep/er/dog.webp", {}, "deep/er/dog.webp"),
    ],
)
def test_one_photo_goes_where_it_is_told(make, output, options, target):
    root = make("cat.jpg", "there/x.txt", "there.png/x.txt")
    assert plan(root, "cat.jpg", output=output, **options) == [("cat.jpg", target)]


def test_an_ending_that_is_not_written_is_refused(make):
    with pytest.raises(OutputError, match="must end in one of"):
        plan(make("cat.jpg"), "cat.jpg", output="dog.jpgg")


def test_a_folder_keeps_its_structure(make):
    root = make("in/b.jpg", "in/a.png", "in/sub/c.webp", "in/sub/deep/d.TIF", "in/e.bmp")
    assert plan(root, "in", output="out") == [
        ("in/a.png", "out/a.png"),
        ("in/b.jpg", "out/b.jpg"),
        ("in/e.bmp", "out/e.bmp"),
        ("in/sub/c.webp", "out/sub/c.webp"),
        ("in/sub/deep/d.TIF", "out/sub/deep/d.TIF"),
    ]
    assert plan(root, "in")[:2] == [("in/a.png", "in/a.sharp.png"), ("in/b.jpg", "in/b.sharp.jpg")]


def test_what_is_no_photo_is_passed_over_and_what_says_it_is_one_is_not(make):
    root = make(
        "in/notes.txt", "in/.hidden.jpg", "in/.git/x.jpg", "in/a.nef:tif", "in/b.jpg_original:jpg", "in/raw:jpg"
    )
    (root / "in/broken.jpg").write_bytes(b"")
    (root / "in/phone.HEIC").write_bytes(b"\0\0\0\x18ftypheic")
    (root / "in/README").write_bytes(b"text")
    negatives = ["in/a.nef"] if raw.is_installed() else []
    photos = [*negatives, "in/broken.jpg", "in/phone.HEIC", "in/raw"]
    assert [source for source, _ in plan(root, "in", output="out")] == photos


def test_results_of_an_earlier_run_are_passed_over(make):
    root = make("in/a.jpg")
    first = plan(root, "in")
    (root / first[0][1]).write_bytes(HEADS["jpg"])
    assert plan(root, "in") == first


def test_an_output_folder_within_the_source_is_passed_over(make):
    root = make("in/a.jpg", "in/out/a.jpg", "in/out/sub/b.jpg", "in/other/out/c.jpg")
    assert plan(root, "in", output="in/out") == [
        ("in/a.jpg", "in/out/a.jpg"),
        ("in/other/out/c.jpg", "in/out/other/out/c.jpg"),
    ]


def test_several_sources_keep_their_folders_apart(make):
    root = make("one/a.jpg", "two/a.jpg", "b.png")
    assert plan(root, "one", "two", "b.png", output="out") == [
        ("one/a.jpg", "out/one/a.jpg"),
        ("two/a.jpg", "out/two/a.jpg"),
        ("b.png", "out/b.png"),
    ]


def test_a_photo_named_twice_is_done_once(make):
    root = make("in/a.jpg", "in/b.jpg")
    assert [source for source, _ in plan(root, "in/b.jpg", "in", "in/../in/a.jpg")] == ["in/b.jpg", "in/a.jpg"]


@pytest.mark.parametrize("names", [("one/a.jpg", "two/a.jpg"), ("a.txt", "a.png")])
def test_two_results_of_one_name_are_refused(make, names):
    with pytest.raises(OutputError, match="would both become"):
        plan(make(*names), *names, output="out")


def test_a_result_in_the_place_of_its_photo_needs_permission(make):
    root = make("in/a.jpg", "in/b.jpg")
    for sources, output in ((["in"], "in"), (["in/a.jpg"], "in/a.jpg"), (["in/a.jpg", "in/b.jpg"], "in")):
        with pytest.raises(OutputError, match="itself one of the files; allow overwriting"):
            plan(root, *sources, output=output)
        assert all(source == target for source, target in plan(root, *sources, output=output, overwrite=True))


def test_a_result_in_the_place_of_another_photo_is_refused_even_with_permission(make):
    root = make("a.jpg", "a.sharp.jpg")
    with pytest.raises(OutputError, match="itself one of the files; choose"):
        plan(root, "a.jpg", "a.sharp.jpg", overwrite=True)


def test_outputs_that_do_not_fit_are_refused(make):
    root = make("in/a.jpg", "b.jpg", "file.x")
    with pytest.raises(OutputError, match="several results"):
        plan(root, "in", output="out.jpg")
    with pytest.raises(OutputError, match="several results"):
        plan(root, "in/a.jpg", "b.jpg", output="out.jpg")
    with pytest.raises(OutputError, match="is a file"):
        plan(root, "in", output="file.x")


def test_sources_that_are_not_there_are_refused(make):
    root = make("in/notes.txt", "a.jpg")
    with pytest.raises(InputError, match=r"none\.jpg does not exist"):
        plan(root, "a.jpg", "none.jpg")
    with pytest.raises(InputError, match="there are no photos or videos in"):
        plan(root, "in")
    with pytest.raises(InputError, match="no file is named"):
        plan(root)


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_a_circle_of_links_ends(make):
    root = make("in/a.jpg")
    (root / "in" / "loop").symlink_to(root / "in")
    assert [source for source, _ in plan(root, "in")] == ["in/a.jpg"]


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_links_are_photos_where_they_lead_to_some(make):
    root = make("in/b.jpg", "elsewhere/c.jpg", "elsewhere/sub/d.jpg")
    (root / "in" / "again.jpg").symlink_to(root / "in" / "b.jpg")  # the same photo: done once, by its first name
    (root / "in" / "c.jpg").symlink_to(root / "elsewhere" / "c.jpg")
    (root / "in" / "dangling.jpg").symlink_to(root / "nowhere.jpg")  # reading it will say why
    (root / "in" / "self.jpg").symlink_to(root / "in" / "self.jpg")
    (root / "in" / "folder").symlink_to(root / "elsewhere")
    found = [source for source, _ in plan(root, "in", output="out")]
    assert found == ["in/again.jpg", "in/c.jpg", "in/dangling.jpg", "in/self.jpg"]


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_a_folder_named_by_a_link_is_searched_and_an_output_within_it_passed_over(make):
    root = make("real/a.jpg", "real/out/a.jpg")
    (root / "in").symlink_to(root / "real")
    (root / "results").symlink_to(root / "real" / "out")
    assert plan(root, "in", output="results") == [("in/a.jpg", "results/a.jpg")]


def test_the_folder_above_goes_into_the_output_by_its_real_name(make, monkeypatch):
    root = make("in/a.jpg", "in/sub/x.txt", "b.jpg")
    monkeypatch.chdir(root / "in" / "sub")
    files = plan_outputs([Path(".."), root / "b.jpg"], root / "out")
    assert [file.target for file in files] == [root / "out" / "in" / "a.jpg", root / "out" / "b.jpg"]


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ({"include": ["*.jpg"]}, ["a.jpg", "day1/b.JPG", "day1/raw/c.jpg"]),
        ({"include": ["day1/*"]}, ["day1/b.JPG", "day1/d.png", "day1/raw/c.jpg"]),  # day1/raw matches: all in it does
        ({"include": ["*.jpg"], "exclude": ["raw"]}, ["a.jpg", "day1/b.JPG"]),
        ({"include": ["*.png", "a.*"]}, ["a.jpg", "day1/d.png"]),
        ({"exclude": ["day1/**"]}, ["a.jpg"]),
    ],
)
def test_patterns_choose_among_the_photos_of_a_folder(make, options, left):
    root = make("in/a.jpg", "in/day1/b.JPG", "in/day1/raw/c.jpg", "in/day1/d.png", "in/day1/notes.txt")
    assert [source for source, _ in plan(root, "in", output="out", **options)] == [f"in/{name}" for name in left]


def test_patterns_hold_for_single_files_by_their_names(make):
    root = make("one/a.jpg", "one/b.png")
    assert [source for source, _ in plan(root, "one/a.jpg", "one/b.png", exclude=["*.png"])] == ["one/a.jpg"]
    with pytest.raises(InputError, match="is left by"):
        plan(root, "one/a.jpg", output="c.png", include=["*.png"])


def test_patterns_that_leave_nothing_are_named(make):
    root = make("in/a.jpg")
    with pytest.raises(
        InputError, match=r"no photo or video in .*in is left by include '\*\.png' exclude 'raw'; patterns"
    ):
        plan(root, "in", include=["*.png"], exclude=["raw"])
    with pytest.raises(ConfigError, match="says nothing"):
        plan(root, "in", include=[""])


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may search everywhere")
def test_a_folder_that_may_not_be_searched_can_be_left_out(make):
    root = make("in/a.jpg", "in/closed/b.jpg")
    (root / "in" / "closed").chmod(0)
    try:
        with pytest.raises(InputError, match=r"cannot be searched.*--exclude"):
            plan(root, "in")
        assert [source for source, _ in plan(root, "in", exclude=["closed"])] == ["in/a.jpg"]
    finally:
        (root / "in" / "closed").chmod(0o700)


def test_a_relative_folder_is_planned_relative(make, monkeypatch):
    monkeypatch.chdir(make("in/a.jpg"))
    (file,) = plan_outputs([Path("in")], Path("out"))
    assert (file.source, file.target) == (Path("in/a.jpg"), Path("out/a.jpg"))
    assert [file.target for file in plan_outputs([Path(".")], None)] == [Path("in/a.sharp.jpg")]


@settings(max_examples=25, deadline=None)
@given(
    st.sets(
        st.tuples(
            st.sampled_from(["", "p", "p/q", "r"]), st.sampled_from("abc"), st.sampled_from(["jpg", "png", "tif"])
        ),
        min_size=1,
    )
)
def test_no_photo_is_lost_and_no_target_is_shared(tmp_path_factory, files):
    root = tmp_path_factory.mktemp("tree")
    for folder, stem, suffix in files:
        (root / "in" / folder).mkdir(parents=True, exist_ok=True)
        (root / "in" / folder / f"{stem}.{suffix}").write_bytes(HEADS[suffix])
    for output in (None, root / "out"):
        planned = plan_outputs([root / "in"], output)
        assert len(planned) == len(files) == len({file.target for file in planned})
        assert not {file.target for file in planned} & {file.source for file in planned}


def test_the_plan_looks_only_at_beginnings(tmp_path):
    Image.fromarray(np.zeros((5, 5, 3), np.uint8)).save(tmp_path / "whole.png")
    content = (tmp_path / "whole.png").read_bytes()
    (tmp_path / "whole.png").write_bytes(content[:40])
    assert len(plan_outputs([tmp_path])) == 1
