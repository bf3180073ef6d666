"""A folder and an object store behave alike, and what goes wrong in one is a sentence."""

from __future__ import annotations

import errno
import pickle

import pytest

pytest.importorskip("fsspec", reason="needs the extra bulk")
import fsspec
from fsspec.implementations.local import LocalFileSystem

from acutance.bulk import store_errors
from acutance.bulk.store_errors import Unreachable, Vanished
from acutance.bulk.stores import Store
from acutance.errors import InputError, OutputError


@pytest.fixture(params=["folder", "memory"])
def store(request, tmp_path):
    if request.param == "folder":
        return Store(str(tmp_path))
    fsspec.filesystem("memory").store.clear()
    return Store("memory://bucket/photos")


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr(store_errors, "_FIRST_WAIT_S", 0.0)


def test_what_is_put_is_listed_read_replaced_and_removed(store, tmp_path_factory):
    local = tmp_path_factory.mktemp("local") / "a"
    versions = set()
    for content in (b"one", b"second"):
        local.write_bytes(content)
        store.put(local, "x/y.png")
        (entry,) = store.listed()
        assert (store.key_of(entry.path), entry.size_bytes) == ("x/y.png", len(content))
        assert store.read(entry.path) == content
        versions.add(entry.version)
    assert len(versions) == 2  # told apart
    copy = local.with_name("copy")
    store.get(entry.path, copy)
    assert copy.read_bytes() == b"second"
    with store.opened(entry.path) as file:
        assert file.read() == b"second"
    store.remove([entry.path, entry.path])
    assert list(store.listed()) == []


def test_a_file_that_is_gone_is_told_and_not_waited_for(store, tmp_path_factory):
    target = tmp_path_factory.mktemp("local") / "a"
    with pytest.raises(Vanished, match="nothing of that name"):
        store.get(store.path_of("none.png"), target)
    with pytest.raises(Vanished):
        store.read(store.path_of("none.png"))


def test_a_store_can_be_sent_to_another_process(store):
    again = pickle.loads(pickle.dumps(store))
    assert (again, again.root) == (store, store.root)


def test_a_busy_store_is_asked_again(monkeypatch, tmp_path):
    store, calls = Store("memory://bucket"), []

    def cat_file(path):
        calls.append(path)
        if len(calls) < 4:
            raise OSError(errno.EBUSY, "SlowDown")
        return b"there"

    monkeypatch.setattr(store.system, "cat_file", cat_file)
    assert store.read("bucket/a") == b"there"
    assert len(calls) == 4


def test_a_store_that_stays_busy_is_given_up_with_a_sentence(monkeypatch):
    store, calls = Store("memory://bucket"), []

    def cat_file(path):
        calls.append(path)
        raise OSError(errno.EIO, "no answer")

    monkeypatch.setattr(store.system, "cat_file", cat_file)
    with pytest.raises(Unreachable, match=r"does not answer as it should.*--resume"):
        store.read("bucket/a")
    assert len(calls) == store_errors.TRIES


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "full"), "no room left"),
        (OSError(errno.EROFS, "ro"), "read-only"),
        (PermissionError(errno.EACCES, "no"), "access is not allowed"),
        (type("NoCredentialsError", (Exception,), {})("x"), "no credentials"),
    ],
)
def test_what_does_not_pass_is_told_at_once(monkeypatch, tmp_path, error, words):
    store, calls = Store("memory://bucket"), []

    def put_file(*args):
        calls.append(args)
        raise error

    monkeypatch.setattr(store.system, "put_file", put_file)
    (tmp_path / "a").write_bytes(b"a")
    with pytest.raises(OutputError, match=words):
        store.put(tmp_path / "a", "a")
    assert len(calls) == 1


def test_a_broken_upload_leaves_nothing(monkeypatch, tmp_path):
    fsspec.filesystem("memory").store.clear()
    store = Store("memory://bucket")
    monkeypatch.setattr(store.system, "mv", lambda *_: (_ for _ in ()).throw(PermissionError("no")))
    (tmp_path / "a").write_bytes(b"a")
    with pytest.raises(OutputError):
        store.put(tmp_path / "a", "a")
    assert list(store.listed()) == []


class FarFolder(LocalFileSystem):
    """A store that has folders, is not of this machine, and makes no folder by itself; as SFTP."""

    protocol = "far"

    @classmethod
    def _strip_protocol(cls, path: str) -> str:
        return super()._strip_protocol(str(path).removeprefix("far://"))


def test_a_place_that_is_not_there_yet_can_be_written_to(store, tmp_path):
    fsspec.register_implementation("far", FarFolder, clobber=True)
    for place in (store, Store(f"far://{tmp_path}/new")):
        place.check_writable(".acutance/try")
        assert list(place.listed()) == []


def test_an_unknown_kind_of_address_is_told():
    with pytest.raises(InputError, match="no kind of address"):
        Store("nonsense://x")


def test_s3_is_listed_page_by_page(monkeypatch):
    class Pages:
        protocol = ("s3", "s3a")

        def call_s3(self, method, **request):
            assert (method, request["Bucket"], request["Prefix"]) == ("list_objects_v2", "b", "p/")
            page = int(request.get("ContinuationToken", 0))
            contents = [
                {"Key": f"p/{page}.png", "Size": 9, "ETag": f'"{page}"'},
                {"Key": "p/", "Size": 0, "ETag": '""'},
            ]
            return {"Contents": contents, "IsTruncated": page < 2, "NextContinuationToken": str(page + 1)}

    store = Store("memory://x")
    object.__setattr__(store, "system", Pages())
    object.__setattr__(store, "root", "b/p")
    assert [(store.key_of(entry.path), entry.version) for entry in store.listed()] == [
        ("0.png", "0"),
        ("1.png", "1"),
        ("2.png", "2"),
    ]
