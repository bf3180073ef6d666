"""What is listed, by folder and by manifest, and how it is bundled."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("pyarrow", reason="needs the extra bulk")
import pyarrow as pa
import pyarrow.parquet as pq

from acutance.bulk.items import BUNDLE, BUNDLE_BYTES, Item, bundles, items_in, items_of, items_of_manifest, table_of
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
    found = list(items_of_manifest(Store(str(manifest)), source, strength=0.7))
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
    found = list(items_of_manifest(Store(str(manifest)), source, strength=1.0))
    assert [(one.key, one.strength) for one in found] == [("a.png", 0.5), ("new/b.png", 1.0)]


def test_a_manifest_that_is_none_is_told(source, tmp_path):
    (tmp_path / "bad.parquet").write_bytes(b"no")
    with pytest.raises(InputError, match="no manifest"):
        list(items_of_manifest(Store(str(tmp_path / "bad.parquet")), source, strength=1.0))
    pq.write_table(pa.table({"url": ["a"]}), tmp_path / "names.parquet")
    with pytest.raises(InputError, match="has the columns url; one must be `address`"):
        list(items_of_manifest(Store(str(tmp_path / "names.parquet")), source, strength=1.0))
