"""Over HTTP, as S3 speaks: what a busy, closed, vanished or strange store does to a run."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, quote, unquote, urlsplit
from xml.sax.saxutils import escape

import pytest

pytest.importorskip("pyarrow", reason="needs the extra bulk")
pytest.importorskip("s3fs", reason="needs the extra bulk")
from s3fs import S3FileSystem

from acutance.bulk import store_errors
from acutance.bulk.items import Item, Manifest, items_of
from acutance.bulk.ledger import Ledger
from acutance.bulk.store_errors import Vanished
from acutance.bulk.stores import Store
from acutance.bulk.work import Worker
from acutance.errors import InputError, OutputError
from acutance.media.patterns import PathFilter

Fault = Callable[[str, str], tuple[int, str] | None]
"""Takes method and path of a request; returns the status and the code that it is answered with, or None."""


class Bucket:
    """A server with one bucket, `b`."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.requests: list[tuple[str, str]] = []
        self.fault: Fault = lambda method, path: None
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"bucket": self}))
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,))
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    bucket: Bucket

    def log_message(self, *_: object) -> None: ...

    def _answer(self, status: int, content: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _do(self) -> None:
        url = urlsplit(self.path)
        query, path = parse_qs(url.query, keep_blank_values=True), unquote(url.path)
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.bucket.requests.append((self.command, path))
        key, objects = path.removeprefix("/b/"), self.bucket.objects
        fault = self.bucket.fault(self.command, path)
        if fault is None and self.command in ("GET", "HEAD") and "list-type" not in query and key not in objects:
            fault = (404, "NoSuchKey")
        if fault:
            self._answer(fault[0], f"<Error><Code>{fault[1]}</Code><Message>{fault[1]}</Message></Error>".encode())
        elif "list-type" in query:
            self._list(query)
        elif self.command == "PUT":
            objects[key] = content
            self._answer(200, ETag=_etag(content))
        elif self.command == "DELETE":
            objects.pop(key, None)
            self._answer(204)
        else:
            self._answer(200, objects[key], ETag=_etag(objects[key]))

    do_GET = do_HEAD = do_PUT = do_DELETE = _do  # noqa: N815

    def _list(self, query: dict[str, list[str]]) -> None:
        prefix, after = query["prefix"][0], query.get("continuation-token", [""])[0]
        names = sorted(key for key in self.bucket.objects if key.startswith(prefix) and key > after)
        most = min(int(query.get("max-keys", ["1000"])[0]), 3)  # so that a few names are several pages
        contents = "".join(
            f"<Contents><Key>{escape(quote(key))}</Key><Size>{len(self.bucket.objects[key])}</Size>"
            f"<ETag>{escape(_etag(self.bucket.objects[key]))}</ETag></Contents>"
            for key in names[:most]
        )
        more = f"<NextContinuationToken>{escape(names[most - 1])}</NextContinuationToken>" if names[most:] else ""
        self._answer(
            200,
            f"<ListBucketResult><EncodingType>url</EncodingType><IsTruncated>{str(bool(more)).lower()}</IsTruncated>"
            f"{more}{contents}</ListBucketResult>".encode(),
        )


def _etag(content: bytes) -> str:
    return f'"{hashlib.md5(content).hexdigest()}"'


@pytest.fixture
def bucket(monkeypatch) -> Iterator[Bucket]:
    made = Bucket()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{made.server.server_port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setattr(store_errors, "_FIRST_WAIT_S", 0.0)
    S3FileSystem.clear_instance_cache()
    yield made
    S3FileSystem.clear_instance_cache()
    made.close()


@pytest.fixture
def worker(inverter) -> Worker:
    return Worker(inverter, Store("s3://b/in"), Store("s3://b/out"), settings="s")


def listed(**how: Store) -> list[Item]:
    return list(items_of(Store("s3://b/in"), strength=1.0, wanted=PathFilter.of(), **how))


def put(bucket: Bucket, photo: Callable[..., Path], tmp_path: Path, *names: str) -> None:
    content = photo(tmp_path / "photo.png").read_bytes()
    bucket.objects.update({f"in/{name}": content for name in names})


def results(bucket: Bucket) -> set[str]:
    return {key.removeprefix("out/") for key in bucket.objects if key.startswith("out/") and ".acutance" not in key}


def busy(times: int) -> Fault:
    """Answer the first requests for each picture as a store does that has too many."""
    left: dict[tuple[str, str], int] = {}

    def fault(method: str, path: str) -> tuple[int, str] | None:
        if not path.endswith(".png"):
            return None
        left[method, path] = left.get((method, path), times) - 1
        return (503, "SlowDown") if left[method, path] >= 0 else None

    return fault


def test_names_of_any_kind_come_and_go(bucket, worker, photo, tmp_path):
    names = ["a b.png", "é中.png", "a%20b+c#d?e&f=g.png", "//a.png", "x//a.png", "-'\"\\[x]*.png", "deep/a..b.png"]
    put(bucket, photo, tmp_path, *names)
    bucket.objects["in/folder.png/"] = b""  # as consoles make folders
    items = listed()
    assert sorted(item.key for item in items) == sorted(names)
    assert [entry.status for entry in worker.work(items)] == ["done"] * len(names)
    assert results(bucket) == set(names)
    done = Ledger(Store("s3://b/out")).done("s")
    assert all(done.has(item, "s") for item in listed())


def test_a_name_that_leads_out_stays_out_and_an_empty_object_is_no_picture(bucket, inverter, photo, tmp_path, target):
    put(bucket, photo, tmp_path, "../../a.png", "b//c.png", "d.png")
    bucket.objects["in/e.png"] = b""
    worker = Worker(inverter, Store("s3://b/in"), target, settings="s")
    entries = {entry.key: (entry.status, entry.reason) for entry in worker.work(listed())}
    assert {key: status for key, (status, _) in entries.items()} == {
        "../../a.png": "refused",
        "b//c.png": "refused",
        "d.png": "done",
        "e.png": "refused",
    }
    assert "empty" in entries["e.png"][1]
    assert [path.name for path in Path(target.root).rglob("*.png")] == ["d.png"]


def test_a_busy_store_is_waited_for(bucket, worker, photo, tmp_path):
    put(bucket, photo, tmp_path, "a.png")
    bucket.fault = busy(1)
    assert [entry.status for entry in worker.work(listed())] == ["done"]
    assert results(bucket) == {"a.png"}
    assert bucket.requests.count(("PUT", "/b/out/a.png")) == 2
    assert bucket.requests.count(("GET", "/b/in/a.png")) == 2


def test_an_upload_that_is_refused_half_way_leaves_nothing(bucket, worker, photo, tmp_path):
    put(bucket, photo, tmp_path, "a.png", "b.png")
    items = listed()
    bucket.fault = lambda method, path: (403, "AccessDenied") if path.endswith("out/a.png") else None
    entries = worker.work(items)
    assert [entry.status for entry in entries] == ["failed", "done"]
    assert "access is not allowed" in entries[0].reason
    assert results(bucket) == {"b.png"}
    bucket.fault = lambda method, path: None
    done = Ledger(Store("s3://b/out")).done("s")
    assert [done.has(item, "s") for item in items] == [False, True]


def test_wrong_credentials_are_one_sentence(bucket):
    bucket.fault = lambda method, path: (403, "InvalidAccessKeyId")
    with pytest.raises(InputError, match="access is not allowed; check the credentials"):
        listed()
    with pytest.raises(OutputError, match="access is not allowed; check the credentials"):
        Store("s3://b/out").check_writable(".acutance/try")


def test_no_credentials_are_one_sentence(bucket, monkeypatch, tmp_path):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(InputError, match=r"no credentials|access is not allowed"):
        listed()


def test_a_bucket_that_vanishes_ends_the_work_and_loses_nothing(bucket, worker, photo, tmp_path):
    put(bucket, photo, tmp_path, "a.png", "b.png")
    items = listed()
    bucket.fault = lambda method, path: (404, "NoSuchBucket")
    with pytest.raises(Vanished, match="nothing of that name"):
        listed()
    with pytest.raises(OutputError, match="there is no such place"):
        worker.work(items)
    assert results(bucket) == set()
    bucket.fault = lambda method, path: None
    assert [entry.status for entry in worker.work(items)] == ["done", "done"]


def test_a_manifest_is_looked_up_and_gives_the_versions_that_a_listing_gives(bucket, photo, tmp_path):
    put(bucket, photo, tmp_path, "a b.png", "c.png")
    bucket.objects["in/list.txt"] = b"a b.png\ns3://b/in/c.png\nnone.png\ns3://b/other/d.png\n"
    manifest = Manifest(Store("s3://b/in/list.txt"), Store("s3://b/in"), strength=1.0)
    assert len(manifest) == 4
    assert [path for method, path in bucket.requests if method == "HEAD" and path.endswith(".png")] == []
    found = list(manifest.items())
    assert found[:2] == listed()
    assert [(item.key, item.version) for item in found[2:]] == [("none.png", "missing"), ("b/other/d.png", "missing")]


def test_a_picture_that_may_not_be_asked_for_does_not_end_the_run(bucket, tmp_path):
    bucket.objects["in/list.txt"] = b"a.png\n"
    bucket.fault = lambda method, path: (403, "AccessDenied") if path.endswith(".png") else None
    (item,) = Manifest(Store("s3://b/in/list.txt"), Store("s3://b/in"), strength=1.0).items()
    assert item.version == "unknown"


def test_results_within_the_source_are_no_inputs(bucket, photo, tmp_path):
    put(bucket, photo, tmp_path, "a.png", "sharp/a.png", "sharper/a.png")
    assert [item.key for item in listed(target=Store("s3://b/in/sharp"))] == ["a.png", "sharper/a.png"]
