"""The file is whole and right or not there, whatever the server, the line, the disk and the user do."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from acutance.downloads import Patience, fetch, recorded_sha256
from acutance.downloads.fake import Fault
from acutance.errors import ConfigError, DownloadError, OutputError


def sha256(content):
    return hashlib.sha256(content).hexdigest()


def names(folder):
    return {path.name for path in folder.iterdir()} if folder.exists() else set()


def part_of(target):
    return target.with_name(f"{target.name}.part")


def assert_only_the_file(target, content):
    """The right bytes under the right name, their hash beside them, and nothing else."""
    assert target.read_bytes() == content
    assert names(target.parent) == {target.name, f"{target.name}.sha256"}
    assert recorded_sha256(target) == sha256(content)


def begin(url, target, server, *, drop_at=100_000, without=frozenset()):
    """Have a download end for good after so many bytes."""
    server.faults.extend([Fault(drop_at=drop_at, without=without), Fault(status=404)])
    with pytest.raises(DownloadError):
        fetch(url, target, patience=Patience(pause_s=0.001))
    assert not target.exists()
    server.requests.clear()
    return part_of(target).stat().st_size


# --- when all goes well -----------------------------------------------------------------------------------


def test_downloads_and_records(url, target, content, server):
    shares = []
    assert fetch(url, target, progress=shares.append) == target
    assert_only_the_file(target, content)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    assert len(shares) > 3
    (request,) = server.requests
    assert request.range is None
    assert request.headers["User-Agent"].startswith("acutance/")
    assert request.headers["Accept-Encoding"] == "identity"


def test_the_record_is_in_the_form_of_sha256sum(url, target, content):
    fetch(url, target)
    assert (target.parent / "a.bin.sha256").read_text() == f"{sha256(content)}  a.bin\n"


def test_a_known_hash_and_a_known_beginning(url, target, content):
    fetch(url, target, sha256=sha256(content).upper())
    target.unlink()
    fetch(url, target, sha256_prefix=sha256(content)[:8])
    assert_only_the_file(target, content)


def test_a_file_that_is_there_needs_no_network(url, target, content, server):
    fetch(url, target)
    server.requests.clear()
    shares = []
    for known in ({}, {"sha256": sha256(content)}, {"sha256_prefix": sha256(content)[:8]}):
        fetch(url, target, progress=shares.append, **known)
    assert server.requests == []
    assert shares[-1] == 1.0


def test_a_file_laid_there_by_hand_is_recorded(url, target, content, server):
    target.parent.mkdir()
    target.write_bytes(content)
    fetch(url, target)
    assert server.requests == []
    assert_only_the_file(target, content)


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="needs folders that may not be written to")
def test_a_folder_that_may_only_be_read_will_do(url, target, content):
    target.parent.mkdir()
    target.write_bytes(content)
    target.parent.chmod(0o500)
    assert fetch(url, target, sha256=sha256(content)) == target
    target.parent.chmod(0o700)
    assert names(target.parent) == {"a.bin"}


def test_an_empty_file(target, server):
    server.files["empty"] = b""
    fetch(f"{server.address}/empty", target)
    assert_only_the_file(target, b"")


@pytest.mark.parametrize("known", [False, True])
def test_a_server_that_does_not_say_how_long_the_file_is(url, target, content, server, known):
    server.always = Fault(without=frozenset({"Content-Length"}))
    shares = []
    fetch(url, target, sha256=sha256(content) if known else None, progress=shares.append)
    assert_only_the_file(target, content)
    assert shares == [1.0]


def chunked(*pieces):
    """An answer in chunks, as servers send what they make on the way; the last piece None leaves the end out."""
    body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces if piece is not None)
    end = b"" if pieces[-1] is None else b"0\r\n\r\n"
    headers = (("Transfer-Encoding", "chunked"),)
    return Fault(content=body + end, headers=headers, without=frozenset({"Content-Length", "ETag"}))


def test_answers_in_chunks(url, target, content, server, patience):
    server.faults.extend([chunked(content[:9000], None), chunked(content[:9000], content[9000:])])
    fetch(url, target, patience=patience)
    assert len(server.requests) == 2
    assert_only_the_file(target, content)


def test_redirects_are_followed(target, content, server, url):
    server.faults.append(Fault(status=302, headers=(("Location", url),)))
    fetch(f"{server.address}/elsewhere", target)
    assert_only_the_file(target, content)


def test_the_proxy_of_the_environment_is_used(target, content, server, monkeypatch):
    monkeypatch.setenv("http_proxy", server.address)
    fetch("http://files.invalid/a.bin", target)
    assert target.read_bytes() == content
    assert server.requests[0].path == "http://files.invalid/a.bin"


# --- bad lines --------------------------------------------------------------------------------------------


def test_goes_on_where_the_connection_broke(url, target, content, server, patience):
    server.faults.extend([Fault(drop_at=100_000), Fault(drop_at=80_000)])
    fetch(url, target, patience=patience)
    assert_only_the_file(target, content)
    assert [request.range for request in server.requests] == [None, "bytes=100000-", "bytes=180000-"]
    etag = server.requests[1].headers["If-Range"]
    assert etag.startswith('"')


def test_a_part_is_gone_on_with_by_the_next_call(url, target, content, server):
    assert begin(url, target, server) == 100_000
    shares = []
    fetch(url, target, progress=shares.append)
    assert_only_the_file(target, content)
    assert [request.range for request in server.requests] == ["bytes=100000-"]
    assert min(shares) > 0.3


def test_a_part_that_is_whole_is_only_checked_and_named(url, target, content, server):
    begin(url, target, server)
    part_of(target).write_bytes(content)
    fetch(url, target)
    assert_only_the_file(target, content)
    assert server.requests == []


def test_a_slow_server_is_waited_for(url, target, content, server):
    server.faults.append(Fault(stall_s=0.1))
    fetch(url, target, patience=Patience(timeout_s=5.0))
    assert len(server.requests) == 1
    assert_only_the_file(target, content)


def test_silence_counts_as_broken(url, target, content, server, impatience):
    server.faults.append(Fault(stall_s=5.0))
    fetch(url, target, patience=impatience)
    assert server.requests[1].range is not None
    assert_only_the_file(target, content)
    server.is_closing.set()  # ends the stall


@pytest.mark.parametrize("fault", [Fault(is_silent=True), Fault(status=500), Fault(status=503), Fault(status=429)])
def test_what_may_pass_is_tried_again(  # noqa: PLR0917, fixtures
    url, target, content, server, patience, fault
):
    server.faults.extend([fault, fault])
    fetch(url, target, patience=patience)
    assert len(server.requests) == 3
    assert_only_the_file(target, content)


def test_patience_ends_and_the_part_stays(url, target, content, server, patience):
    server.faults.append(Fault(drop_at=100_000))
    server.always = Fault(status=503)
    with pytest.raises(DownloadError, match=r"answered 503 .*; 100 kB of 300 kB are kept: do the same again"):
        fetch(url, target, patience=patience)
    assert len(server.requests) == 1 + 3
    assert not target.exists()
    server.always = Fault()
    fetch(url, target)
    assert_only_the_file(target, content)


def test_every_byte_more_renews_patience(url, target, content, server, patience):
    server.faults.extend([Fault(drop_at=20_000)] * 12)
    fetch(url, target, patience=patience)
    assert len(server.requests) == 13
    assert_only_the_file(target, content)


def test_a_server_that_breaks_at_the_same_place_for_ever(url, target, server, patience):
    server.always = Fault(drop_at=100_000, ignores_range=True)
    with pytest.raises(DownloadError, match="200001 bytes too early"):
        fetch(url, target, patience=patience)
    assert len(server.requests) == 1 + 3
    assert not target.exists()


def test_a_server_may_ask_for_time(url, target, content, server):
    server.faults.append(Fault(status=503, headers=(("Retry-After", "3600"),)))
    start = time.monotonic()
    fetch(url, target, patience=Patience(pause_s=0.0, longest_pause_s=0.2))
    assert 0.2 <= time.monotonic() - start < 60  # of 3600
    assert_only_the_file(target, content)


def test_pauses_grow():
    patience = Patience(pause_s=1.0, longest_pause_s=5.0)
    assert [patience.pause(failures, 0.0) for failures in (0, 1, 2, 3, 4, 99)] == [1.0, 1.0, 2.0, 4.0, 5.0, 5.0]
    assert patience.pause(1, 3.0) == 3.0


# --- ranges and versions ----------------------------------------------------------------------------------


def test_a_server_without_ranges_begins_again(url, target, content, server, patience):
    server.faults.extend([Fault(drop_at=100_000), Fault(ignores_range=True)])
    fetch(url, target, patience=patience)
    assert_only_the_file(target, content)


@pytest.mark.parametrize("obeys", [True, False], ids=["obeys If-Range", "ignores If-Range"])
def test_a_changed_file_is_not_glued(url, target, content, server, obeys):
    begin(url, target, server)
    server.files["a.bin"] = content[::-1]
    server.faults.append(Fault(ignores_if_range=not obeys))
    fetch(url, target, patience=Patience(pause_s=0.001))
    assert_only_the_file(target, content[::-1])


def test_a_file_that_grew_is_not_glued(url, target, content, server):
    """Without ETag or date in the second answer, the length alone gives it away."""
    begin(url, target, server)
    server.files["a.bin"] = content + b"more"
    server.faults.append(Fault(ignores_if_range=True, without=frozenset({"ETag"})))
    fetch(url, target, patience=Patience(pause_s=0.001))
    assert_only_the_file(target, content + b"more")


def test_without_etag_and_date_nothing_is_gone_on_with(url, target, content, server):
    begin(url, target, server, without=frozenset({"ETag"}))
    fetch(url, target)
    assert [request.range for request in server.requests] == [None]
    assert_only_the_file(target, content)


def test_a_known_hash_is_enough_to_go_on(url, target, content, server):
    begin(url, target, server, without=frozenset({"ETag"}))
    fetch(url, target, sha256=sha256(content))
    assert [request.range for request in server.requests] == ["bytes=100000-"]
    assert "If-Range" not in server.requests[0].headers
    assert_only_the_file(target, content)


def test_a_weak_etag_is_not_used_but_the_date_is(url, target, content, server, patience):
    date = "Tue, 14 Feb 2017 14:27:11 GMT"
    headers = (("ETag", 'W/"1"'), ("Last-Modified", date))
    server.faults.extend([Fault(drop_at=100_000, headers=headers), Fault(ignores_if_range=True, headers=headers)])
    fetch(url, target, patience=patience)
    assert server.requests[1].headers["If-Range"] == date
    assert_only_the_file(target, content)


@pytest.mark.parametrize(
    "headers",
    [
        (("Content-Range", "bytes 5-9/300001"),),  # not the piece that was asked for
        (("Content-Range", "bytes */300001"),),
        (("Content-Range", "bytes 100000-300000/" + "9" * 5000),),
        (("Content-Range", ""),),
    ],
)
def test_pieces_that_do_not_fit_are_not_taken(url, target, content, server, headers):
    begin(url, target, server)
    server.faults.append(Fault(headers=headers))
    fetch(url, target, patience=Patience(pause_s=0.001))
    assert [request.range for request in server.requests] == ["bytes=100000-", None]
    assert_only_the_file(target, content)


@pytest.mark.parametrize("length", [300_002, 400_000])
def test_a_part_that_is_too_long_is_thrown_away(url, target, content, server, length):
    begin(url, target, server)
    part_of(target).write_bytes(bytes(length))
    fetch(url, target, patience=Patience(pause_s=0.001))
    assert_only_the_file(target, content)


@pytest.mark.parametrize("origin", ["", "{", "[]", '{"url": 3}', '{"version": {"colour": 1}, "url": "%s"}'])
def test_a_part_of_unknown_origin_is_thrown_away(url, target, content, server, origin):
    begin(url, target, server)
    (target.parent / "a.bin.part.json").write_text(origin.replace("%s", url))
    fetch(url, target)
    assert [request.range for request in server.requests] == [None]
    assert_only_the_file(target, content)


def test_a_part_of_another_address_is_thrown_away(url, target, content, server):
    begin(url, target, server)
    server.files["b.bin"] = content[::-1]
    fetch(f"{server.address}/b.bin", target)
    assert_only_the_file(target, content[::-1])


def test_an_announced_length_that_never_comes(url, target, server, patience, content):
    server.always = Fault(headers=(("Content-Length", "300101"),))
    with pytest.raises(DownloadError, match=r"too early|does not have the rest|another file"):
        fetch(url, target, patience=patience)
    assert not target.exists()
    server.always = Fault()
    fetch(url, target, patience=patience)
    assert_only_the_file(target, content)


def test_an_announced_length_that_is_too_short_shows_in_the_hash(url, target, content, server):
    server.always = Fault(headers=(("Content-Length", "300000"),))
    with pytest.raises(DownloadError, match="wrong file"):
        fetch(url, target, sha256=sha256(content))
    assert names(target.parent) == set()


# --- wrong files ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("known", ["sha256", "sha256_prefix"])
def test_a_wrong_file_is_removed(url, target, content, server, known):
    server.faults.append(Fault(content=b"something else"))
    value = sha256(content)[: 64 if known == "sha256" else 8]
    with pytest.raises(
        DownloadError, match=f"wrong file, which was removed: its sha256 is {sha256(b'something else')}"
    ):
        fetch(url, target, **{known: value})
    assert names(target.parent) == set()
    fetch(url, target, **{known: value})
    assert_only_the_file(target, content)


def test_the_first_file_is_trusted_and_a_later_one_is_held_to_it(url, target, content, server):
    fetch(url, target)
    target.unlink()
    server.files["a.bin"] = b"changed"
    with pytest.raises(DownloadError, match=rf"not {sha256(content)} as at its first use .*delete a\.bin\.sha256"):
        fetch(url, target)
    assert names(target.parent) == {"a.bin.sha256"}
    (target.parent / "a.bin.sha256").unlink()
    fetch(url, target)
    assert_only_the_file(target, b"changed")


def test_a_given_hash_outweighs_the_record(url, target, content):
    target.parent.mkdir()
    (target.parent / "a.bin.sha256").write_text(f"{'0' * 64}  a.bin\n")
    fetch(url, target, sha256=sha256(content))
    assert_only_the_file(target, content)


def test_a_prefix_does_not_outweigh_the_record(url, target, content):
    target.parent.mkdir()
    (target.parent / "a.bin.sha256").write_text(f"{'0' * 64}  a.bin\n")
    with pytest.raises(DownloadError, match="as at its first use"):
        fetch(url, target, sha256_prefix=sha256(content)[:8])


@pytest.mark.parametrize("text", ["", "no hash at all", "abc  a.bin", "\x00"])
def test_a_damaged_record_is_not_taken_for_none(url, target, text):
    target.parent.mkdir()
    (target.parent / "a.bin.sha256").write_text(text)
    with pytest.raises(DownloadError, match="delete it to record the hash anew"):
        fetch(url, target)


def test_a_damaged_file_is_laid_aside(url, target, content, server):
    fetch(url, target)
    target.write_bytes(content[:-1] + b"?")
    with pytest.raises(DownloadError, match=r"now called a\.bin\.wrong, do the same again"):
        fetch(url, target)
    assert names(target.parent) == {"a.bin.wrong", "a.bin.sha256"}
    fetch(url, target)
    assert target.read_bytes() == content


def test_a_web_page_is_not_a_file(url, target, server):
    """Hotels and firewalls answer everything with a page to log in; its hash must not be recorded."""
    server.always = Fault(content=b"<html>", headers=(("Content-Type", "text/html; charset=utf-8"),))
    with pytest.raises(DownloadError, match="web page instead of the file"):
        fetch(url, target)
    assert names(target.parent) == set()


def test_compressed_answers_are_refused(url, target, server):
    server.always = Fault(headers=(("Content-Encoding", "gzip"),))
    with pytest.raises(DownloadError, match="came as gzip"):
        fetch(url, target)


@pytest.mark.parametrize(
    ("status", "words"),
    [(404, "not there"), (410, "gone"), (403, "refuses"), (401, "password"), (418, "check the address"), (204, "204")],
)
def test_refusals_are_final(url, target, server, status, words):
    server.always = Fault(status=status)
    with pytest.raises(DownloadError, match=words) as caught:
        fetch(url, target)
    assert str(status) in str(caught.value)
    assert len(server.requests) == 1
    assert names(target.parent) == set()


# --- no connection ----------------------------------------------------------------------------------------


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_refused_connection_is_said_at_once(target, monkeypatch):
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    with pytest.raises(DownloadError, match=r"cannot be reached \(Connection refused\)"):
        fetch(f"http://127.0.0.1:{free_port()}/a.bin", target)
    assert pauses == []  # nor a second attempt
    assert names(target.parent) == set()


@pytest.mark.parametrize("host", ["nowhere.invalid", "a..b", "x" * 70])
def test_an_unknown_host(target, host):
    with pytest.raises(DownloadError, match="cannot be reached"):
        fetch(f"http://{host}/a.bin", target)


def test_a_server_that_never_answers(target, impatience):
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        with pytest.raises(DownloadError, match=r"no answer \(timed out\)"):
            fetch(f"http://127.0.0.1:{deaf.getsockname()[1]}/", target, patience=impatience)


def test_a_server_that_goes_away_in_between(url, target, server, patience):
    """Once it has answered, a server that cannot be reached is given time to come back."""
    server.faults.append(Fault(status=503))
    server.always = Fault(status=302, headers=(("Location", f"http://127.0.0.1:{free_port()}/"),))
    with pytest.raises(DownloadError, match="cannot be reached"):
        fetch(url, target, patience=patience)
    assert len(server.requests) == 3


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "ftp://example.org/a",
        "data:text/plain,hello",
        "a.bin",
        "/etc/passwd",
        "",
        "https://",
        "https:///a.bin",
        "http://host:port/a",
        "http://host:99999/a",
        "http://[::1/a",
        "http://host/a b",
        "http://host/ä",
        "http://host/a\r\nX-Evil: 1",
    ],
)
def test_what_is_no_web_address_is_refused(target, url):
    with pytest.raises(ConfigError):
        fetch(url, target)
    assert names(target.parent) == set()


def test_passwords_in_addresses_are_refused_and_not_repeated(target):
    with pytest.raises(ConfigError) as caught:
        fetch("https://me:hunter2@example.org/a.bin", target)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("place", ["file:///etc/passwd", "ftp://127.0.0.1/a", "gopher://x/"])
def test_redirects_away_from_the_web_are_refused(url, target, server, place):
    server.always = Fault(status=302, headers=(("Location", place),))
    with pytest.raises(DownloadError):
        fetch(url, target)
    assert names(target.parent) == set()


def test_redirects_in_a_circle(url, target, server):
    server.always = Fault(status=302, headers=(("Location", url),))
    with pytest.raises(DownloadError, match="302"):
        fetch(url, target)


@pytest.mark.parametrize(
    "known", [{"sha256": "abc"}, {"sha256": "g" * 64}, {"sha256_prefix": ""}, {"sha256_prefix": "x"}]
)
def test_what_is_no_hash_is_refused(url, target, server, known):
    with pytest.raises(ConfigError, match="hash"):
        fetch(url, target, **known)
    assert server.requests == []


# --- the disk ---------------------------------------------------------------------------------------------


def test_no_room_is_noticed_before_anything_is_written(url, target, server):
    server.always = Fault(headers=(("Content-Length", str(10**18)),))
    with pytest.raises(OutputError, match=r"needs 1,000,000\.0 TB and .* are free there"):
        fetch(url, target)
    assert names(target.parent) == set()


def test_lengths_beyond_any_number_are_only_too_long(url, target, server):
    server.always = Fault(headers=(("Content-Length", "9" * 400),))
    with pytest.raises(OutputError, match="are free there"):
        fetch(url, target)


def test_room_for_unpacking_is_asked_for_too(url, target):
    with pytest.raises(OutputError, match="are free there"):
        fetch(url, target, room=10**12)
    assert names(target.parent) == set()


def test_places_where_no_file_can_be(url, tmp_path):
    (tmp_path / "folder").mkdir()
    with pytest.raises(OutputError, match="not a file"):
        fetch(url, tmp_path / "folder")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="cannot be written"):
        fetch(url, tmp_path / "file" / "a.bin")


LIMITED = """
import resource, signal, sys
from pathlib import Path
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (120_000, 120_000))
from acutance.downloads import fetch
from acutance.errors import OutputError
try:
    fetch(sys.argv[1], Path(sys.argv[2]))
except OutputError as error:
    print(error)
"""


@pytest.mark.skipif(os.name == "nt", reason="needs limits of the operating system")
def test_a_disk_that_fills_up_keeps_the_part(url, target, content, server):
    """A process whose files may not grow stands in for a full disk."""
    command = [sys.executable, "-W", "error", "-c", LIMITED, url, str(target)]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    assert "a.bin.part cannot be written" in done.stdout
    assert not done.stderr
    assert not target.exists()
    server.requests.clear()
    fetch(url, target)
    assert_only_the_file(target, content)
    assert server.requests[0].range is not None


# --- killed, interrupted, twice at once -------------------------------------------------------------------

KILLED = """
import os, signal, sys
from pathlib import Path
from acutance.downloads import fetch
def kill(share):
    if share > float(sys.argv[3]):
        os.kill(os.getpid(), getattr(signal, "SIGKILL", signal.SIGTERM))
fetch(sys.argv[1], Path(sys.argv[2]), progress=kill)
"""


def test_a_killed_process_loses_nothing(url, target, content, server):
    kept = 0
    for share in (0.0, 0.4, 0.7):
        command = [sys.executable, "-c", KILLED, url, str(target), str(share)]
        assert subprocess.run(command, capture_output=True, check=False).returncode != 0
        assert not target.exists()
        assert part_of(target).stat().st_size > kept
        kept = part_of(target).stat().st_size
    server.requests.clear()
    fetch(url, target)
    assert [request.range for request in server.requests] == [f"bytes={kept}-"]
    assert_only_the_file(target, content)


def test_ctrl_c_keeps_the_part(url, target, content, server):
    def interrupt(share):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(url, target, progress=interrupt)
    assert part_of(target).stat().st_size > 0
    fetch(url, target)
    assert server.requests[1].range is not None
    assert_only_the_file(target, content)


def test_of_several_at_once_one_downloads(url, target, content, server):
    server.always = Fault(stall_s=0.1)
    threads = [threading.Thread(target=fetch, args=(url, target)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(server.requests) == 1
    assert_only_the_file(target, content)
