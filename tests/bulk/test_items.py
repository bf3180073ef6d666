"""What is listed, by folder and by manifest, and how it is bundled."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

pytest.importorskip("pyarrow", reason="needs the extra bulk")
import pyarrow as pa
import pyarrow.parquet as pq

from acutance.bulk.items import BUNDLE, BUNDLE_BYTES, Item, Manifest, bundles, items_in, items_of, table_of
from acutance.bulk.stores import Store
from acutance.errors import InputError
from acutance.media.patterns import PathFilter


def item(number: int, size_bytes: int = 10, name: str = "png") -> Item:
    return Item(f"{number}.{name}", f"/x/{number}.{name}", size_bytes, "v", 1.0)


def test_a_folder_gives_its_pictures_and_tar_files_and_nothing_hidden(source):
    root = Path(source.root)
    for name in ("a.png", "b/c.jpg", "b/d.tar", "notes.md", ".hidden.png", ".acutance/e.png"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_bytes(b"x")
    found = {item.key for item in items_of(source, strength=1.0, wanted=PathFilter.of())}
    assert found == {"a.png", "b/c.jpg", "b/d.tar"}
    chosen = {item.key for item in items_of(source, strength=1.0, wanted=PathFilter.of(["*.jpg"], []))}
    assert chosen == {"b/c.jpg"}


def test_bundles_are_bounded_by_count_and_bytes_and_large_ones_are_alone():
    small = [item(n) for n in range(BUNDLE + 1)]
    large = [item(90, BUNDLE_BYTES + 1), item(91, 5, "tar")]
    heavy = [item(n, BUNDLE_BYTES // 2) for n in range(100, 103)]
    found = list(bundles([*small, *large, *heavy]))
    assert max(map(len, found)) == BUNDLE
    assert [one for bundle in found for one in bundle if one.key in ("90.png", "91.tar")] == large
    assert sorted(one.key for bundle in found for one in bundle) == sorted(one.key for one in [*small, *large, *heavy])
    assert all(sum(one.size_bytes for one in bundle) <= BUNDLE_BYTES for bundle in found if len(bundle) > 1)


def test_items_survive_a_table():
    items = [item(1), Item("é/2.png", "b/é/2.png", 7, "e tag", 0.5)]
    assert items_in(table_of(items)) == items


def test_a_text_manifest_names_pictures_below_its_folder_and_anywhere(source, photo, tmp_path):
    photo(Path(source.root) / "a b.png")
    elsewhere = photo(tmp_path / "other" / "c.png")
    manifest = tmp_path / "list.txt"
    manifest.write_text(f"a b.png\n\n{elsewhere}\ngone.png\n")
    found = list(Manifest(Store(str(manifest)), source, strength=0.7).items())
    assert [(one.key, one.strength) for one in found] == [
        ("a b.png", 0.7),
        (str(elsewhere).lstrip("/"), 0.7),
        ("gone.png", 0.7),
    ]
    assert found[0].size_bytes == Path(source.root, "a b.png").stat().st_size
    assert found[2].version == "missing"


def test_a_parquet_manifest_may_say_strength_and_name(source, photo, tmp_path):
    photo(Path(source.root) / "a.png")
    photo(Path(source.root) / "b.png")
    manifest = tmp_path / "list.parquet"
    rows = {"address": ["a.png", "b.png"], "strength": [0.5, None], "key": [None, "new/b.png"]}
    pq.write_table(pa.table(rows), manifest)
    found = list(Manifest(Store(str(manifest)), source, strength=1.0).items())
    assert [(one.key, one.strength) for one in found] == [("a.png", 0.5), ("new/b.png", 1.0)]


def test_a_manifest_leads_neither_out_of_the_target_nor_over_a_file_beside_it(source, photo, tmp_path):
    photo(tmp_path / "x.png")
    (tmp_path / "list.txt").write_text("../x.png\na/./b//c.png\n")
    found = list(Manifest(Store(str(tmp_path / "list.txt")), source, strength=1.0).items())
    assert [one.key for one in found] == [str(tmp_path / "x.png").lstrip("/"), "a/b/c.png"]
    assert found[0].size_bytes > 0


def test_patterns_hold_for_a_manifest_too(source, tmp_path):
    (tmp_path / "list.txt").write_text("a.png\nb.jpg\nc/d.png\n")
    wanted = PathFilter.of(["*.png"], ["c"])
    manifest = Manifest(Store(str(tmp_path / "list.txt")), source, strength=1.0, wanted=wanted)
    assert (len(manifest), [one.key for one in manifest.items()]) == (1, ["a.png"])


def test_the_same_row_twice_is_one_picture_and_two_for_one_result_are_refused(source, tmp_path):
    manifest = tmp_path / "list.txt"
    manifest.write_text("a.png\nb.png\na.png\n")
    assert [one.key for one in Manifest(Store(str(manifest)), source, strength=1.0).items()] == ["a.png", "b.png"]
    rows = {"address": ["a.png", "b.png", "a.png"], "key": ["x.png", "y.png", "y.png"]}
    pq.write_table(pa.table(rows), tmp_path / "list.parquet")
    with pytest.raises(InputError, match=r"rows 2 and 3 would have one result, 'y.png'"):
        Manifest(Store(str(tmp_path / "list.parquet")), source, strength=1.0)
    pq.write_table(pa.table({"address": ["a.png"] * 2, "strength": [0.5, 1.0]}), tmp_path / "list.parquet")
    with pytest.raises(InputError, match=r"rows 1 and 2 would have one result"):
        Manifest(Store(str(tmp_path / "list.parquet")), source, strength=1.0)


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        ({"address": [1]}, "the column `address` holds int64; it must hold text"),
        ({"address": [b"a.png"]}, "the column `address` holds binary; it must hold text"),
        ({"address": ["a.png"], "strength": ["1"]}, "the column `strength` holds string; it must hold numbers"),
        ({"address": ["a.png"], "size_bytes": [1.5]}, "`size_bytes` holds double; it must hold whole numbers"),
        ({"address": ["a.png"], "strength": [7.0]}, "row 1: strength is 7.0; it must be from 0 to 2"),
        ({"address": ["a.png"], "strength": [float("nan")]}, "row 1: strength is nan"),
        ({"address": ["a.png", "b.png"], "key": [None, "../x"]}, "row 2: no result can have the name '../x'"),
        ({"address": ["a.png"], "key": [".acutance/x"]}, "row 1: no result can have the name"),
        ({"address": ["s3://b/a.png"]}, "row 1: 's3://b/a.png' is in another kind of store"),
    ],
)
def test_a_row_that_is_wrong_is_told_before_any_work(source, tmp_path, columns, words):
    pq.write_table(pa.table(columns), tmp_path / "list.parquet")
    with pytest.raises(InputError, match=re.escape(words)):
        Manifest(Store(str(tmp_path / "list.parquet")), source, strength=1.0)


def test_a_text_manifest_may_come_from_windows_and_name_files_that_are_no_unicode(source, photo, tmp_path):
    photo(Path(source.root) / "a.png")
    photo(Path(source.root) / " b .png")
    photo(Path(source.root) / os.fsdecode(b"\xff.png"))
    (tmp_path / "list.txt").write_bytes(b"\xef\xbb\xbfa.png\r\n \r\n b .png\n\xff.png\n")
    found = list(Manifest(Store(str(tmp_path / "list.txt")), source, strength=1.0).items())
    assert [one.key for one in found[:3]] == ["a.png", " b .png", os.fsdecode(b"\xff.png")]
    assert all(one.size_bytes for one in found)
    assert items_in(table_of(found)) == found


def test_a_manifest_gives_a_picture_the_version_that_its_folder_gives_it(source, photo, tmp_path):
    photo(Path(source.root) / "a.png")
    (tmp_path / "list.txt").write_text("a.png\n")
    assert list(Manifest(Store(str(tmp_path / "list.txt")), source, strength=1.0).items()) == list(
        items_of(source, strength=1.0, wanted=PathFilter.of())
    )


def test_results_within_the_source_are_no_inputs(source, photo):
    root = Path(source.root)
    for name in ("a.png", "out/a.png", "outer/a.png"):
        photo(root / name)
    for target in (Store(str(root / "out")), Store(f"{root}/x/../out/")):
        found = {item.key for item in items_of(source, strength=1.0, wanted=PathFilter.of(), target=target)}
        assert found == {"a.png", "outer/a.png"}


def test_a_manifest_that_is_none_is_told(source, tmp_path):
    (tmp_path / "bad.parquet").write_bytes(b"no")
    with pytest.raises(InputError, match="no manifest"):
        Manifest(Store(str(tmp_path / "bad.parquet")), source, strength=1.0)
    pq.write_table(pa.table({"url": ["a"]}), tmp_path / "names.parquet")
    pq.write_table(
        pa.table({"address": ["a.png"]}), tmp_path / "damaged.parquet", compression="none", use_dictionary=False
    )
    content = (tmp_path / "damaged.parquet").read_bytes()
    (tmp_path / "damaged.parquet").write_bytes(content.replace(b"a.png", b"\xff.png"))
    with pytest.raises(InputError, match=r"damaged\.parquet: is damaged \('utf-8' codec"):
        Manifest(Store(str(tmp_path / "damaged.parquet")), source, strength=1.0)
    (tmp_path / "damaged.parquet").write_bytes(content[:4] + bytes(20) + content[24:])
    with pytest.raises(InputError, match=r"damaged\.parquet: is damaged \(Couldn't deserialize"):
        Manifest(Store(str(tmp_path / "damaged.parquet")), source, strength=1.0)
    with pytest.raises(InputError, match="has the columns url; one must be `address`"):
        Manifest(Store(str(tmp_path / "names.parquet")), source, strength=1.0)
