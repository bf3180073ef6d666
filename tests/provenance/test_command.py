"""Signing by `acutance sharpen`, and what `acutance verify` says of what was signed."""

from __future__ import annotations

import http.server
import json
import shutil
import subprocess
import sys
import threading
from importlib.util import find_spec
from pathlib import Path

import pytest

pytest.importorskip("c2pa", reason="needs the extra `c2pa`")

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID
from typer.testing import CliRunner

import acutance
from acutance.cli.main import app
from acutance.errors import ConfigError
from acutance.media import Metadata, Photo, encode_photo, read_photo

RUNNER = CliRunner()
MODEL = ["--model", "fast", "--engine", "onnxruntime", "--threads", "1"]
PROGRAM = [sys.executable, "-c", "from acutance.cli.main import run; run()"]


@pytest.fixture
def photo(desk, soft) -> Path:
    return desk.write("photo.jpg", encode_photo(Photo(pixels=soft), format="JPEG"))


def sharpen(*words: object, desk=None):
    signing = ["--c2pa-certificate", str(desk.chain), "--c2pa-key", str(desk.key_file)] if desk else []
    return RUNNER.invoke(app, ["sharpen", *map(str, words), *MODEL, *signing])


def refusal(made) -> str:
    assert isinstance(made.exception, ConfigError), made.output
    return str(made.exception)


def test_a_photo_is_signed_and_that_is_said(desk, judge, photo):
    made = sharpen(photo, "--json", desk=desk)
    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["signed"] == ["signed by A. Photographer (C2PA)"]
    assert judge(desk.folder / "photo.sharp.jpg").state == "Trusted"


def test_a_passphrase_stands_in_a_variable(desk, judge, photo, pem_of):
    desk.write("key.pem", pem_of(desk.key, "open sesame"))
    assert "ACUTANCE_C2PA_PASSPHRASE" in refusal(sharpen(photo, desk=desk))
    words = ["sharpen", str(photo), *MODEL, "--c2pa-certificate", str(desk.chain), "--c2pa-key", str(desk.key_file)]
    made = RUNNER.invoke(app, words, env={"ACUTANCE_C2PA_PASSPHRASE": "open sesame"})
    assert made.exit_code == 0, made.output
    assert judge(desk.folder / "photo.sharp.jpg").state == "Trusted"


@pytest.mark.parametrize("option", ["--c2pa-key", "--c2pa-timestamp"])
def test_options_that_say_nothing_alone(photo, option):
    made = sharpen(photo, option, "https://timestamp.example.org")
    assert f"{option}: says nothing without a certificate" in refusal(made)


def test_a_certificate_that_cannot_sign_stops_all_before_any_work(desk, photo):
    desk.write("key.pem", b"nothing")
    assert "holds no private key" in refusal(sharpen(photo, desk=desk))
    assert not (desk.folder / "photo.sharp.jpg").exists()


def test_a_dry_run_says_what_could_not_be_signed(desk, photo, soft):
    desk.write("other.bmp", encode_photo(Photo(pixels=soft), format="BMP"))
    made = sharpen(photo, desk.folder / "other.bmp", "--dry-run", desk=desk)
    assert made.exit_code == 1
    assert "BMP: holds no C2PA manifest" in made.output
    assert made.output.count("would be made") >= 1


def test_videos_are_not_signed(desk, photo):
    clip = desk.write("clip.mp4", b"\0\0\0\x18ftypisom\0\0\2\0isomiso2" + bytes(64))
    made = sharpen(photo, clip, "-o", f"{desk.folder}/out/", desk=desk)
    assert "only photos are signed" in refusal(made)
    assert not (desk.folder / "out").exists()


def test_through_a_pipe(desk, judge, photo):
    words = ["sharpen", "-", "-o", "-", *MODEL, "--c2pa-certificate", str(desk.chain), "--c2pa-key", str(desk.key_file)]
    made = RUNNER.invoke(app, words, input=photo.read_bytes())
    assert made.exit_code == 0, made.output
    assert judge(made.stdout_bytes).state == "Trusted"
    assert "signed by A. Photographer" in made.stderr


def test_resuming_signs_what_was_not(desk, judge, photo):
    result = desk.folder / "photo.sharp.jpg"
    assert sharpen(photo, "--resume").exit_code == 0
    unsigned = result.read_bytes()
    assert sharpen(photo, "--resume", desk=desk).exit_code == 0
    assert judge(result).state == "Trusted"
    signed = result.read_bytes()
    assert sharpen(photo, "--resume", desk=desk).exit_code == 0
    assert result.read_bytes() == signed
    assert sharpen(photo, "--resume").exit_code == 0
    assert result.read_bytes() == unsigned


@pytest.fixture
def recorded(desk, photo) -> Path:
    """Give a signed result with its record."""
    made = sharpen(photo, "--report", desk.folder / "photo.sharp.jpg.json", desk=desk)
    assert made.exit_code == 0, made.output
    return desk.folder / "photo.sharp.jpg"


def states(result: Path) -> dict[str, str]:
    return {check.what: check.state for check in acutance.verify(result).checks}


def test_what_is_signed_is_verified(recorded):
    found = acutance.verify(recorded)
    assert found.is_complete, str(found)
    assert "the same pixels, bit for bit; the file also holds its manifest" in str(found)
    assert "C2PA manifest: ok: signed by A. Photographer" in str(found)


def test_a_flipped_bit_is_found_by_record_and_manifest(recorded):
    content = bytearray(recorded.read_bytes())
    content[-30] ^= 1
    recorded.write_bytes(content)
    found = states(recorded)
    assert (found["result"], found["C2PA manifest"]) == ("false", "false")


def test_a_flipped_bit_in_the_manifest_is_found(recorded):
    content = bytearray(recorded.read_bytes())
    content[content.index(b"c2pa.actions") + 40] ^= 1
    recorded.write_bytes(content)
    found = states(recorded)
    assert (found["result"], found["C2PA manifest"]) == ("false", "false")


def test_a_manifest_that_was_taken_away_is_missed(recorded):
    recorded.write_bytes(encode_photo(read_photo(recorded), format="JPEG"))
    assert states(recorded)["C2PA manifest"] == "false"


def test_a_page_names_the_certificate(desk, photo):
    assert sharpen(photo, "--report", desk.folder / "page.html", desk=desk).exit_code == 0
    assert f"certificate with SHA-256 {desk.credential().fingerprint[:16]}" in (desk.folder / "page.html").read_text()


LINK = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description rdf:about="" xmlns:dcterms="http://purl.org/dc/terms/" '
    b'dcterms:provenance="http://manifests.example.org/1.c2pa"/></rdf:RDF></x:xmpmeta>'
)


def test_nobody_on_the_network_is_asked(desk, soft, tmp_path):
    """Not even for the manifest that the photo says lies there."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    linked = Photo(pixels=soft, metadata=Metadata(xmp=LINK.replace(b"provenance", b"provenancf")))
    content = encode_photo(linked, format="JPEG").replace(b"provenancf", b"provenance")
    desk.write("photo.jpg", content)
    trace = tmp_path / "trace"
    words = ["--c2pa-certificate", "chain.pem", "--c2pa-key", "key.pem", *MODEL]
    watched = ["strace", "-f", "-qq", "-e", "trace=connect,sendto,sendmsg,sendmmsg", "-e", "signal=none", "-o", trace]
    made = subprocess.run(
        [*watched, *PROGRAM, "sharpen", "photo.jpg", *words],
        cwd=desk.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if "ptrace" in made.stderr:
        pytest.skip(f"strace may not watch here: {made.stderr.strip()}")
    assert made.returncode == 0, made.stderr
    assert "was not fetched" in made.stderr
    assert "AF_INET" not in trace.read_text(errors="replace")


def test_nothing_is_loaded_from_the_current_folder(desk, photo):
    for name in ("libc2pa_c.so", "libc2pa_c.dylib", "c2pa_c.dll"):
        desk.write(name, b"a stranger's")
    words = ["sharpen", "photo.jpg", *MODEL, "--c2pa-certificate", "chain.pem", "--c2pa-key", "key.pem"]
    made = subprocess.run([*PROGRAM, *words], cwd=desk.folder, capture_output=True, text=True, check=False)
    assert made.returncode == 0, made.stderr


def test_without_the_extra_it_is_said_how_to_get_it(desk, photo):
    script = "import sys; sys.modules['c2pa'] = None; from acutance.cli.main import run; run()"
    words = ["sharpen", "photo.jpg", *MODEL, "--c2pa-certificate", "chain.pem", "--c2pa-key", "key.pem"]
    made = subprocess.run(
        [sys.executable, "-c", script, *words], cwd=desk.folder, capture_output=True, text=True, check=False
    )
    assert made.returncode == 3
    assert "pip install" in made.stderr
    assert "c2pa-python" in made.stderr


def test_an_authority_confirms_the_time(desk, judge, photo, pem_of):
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed, which answers for an authority")
    key = ec.generate_private_key(ec.SECP256R1())
    desk.write("tsa.pem", desk.authority.certify(key, "The Clock", usage=ExtendedKeyUsageOID.TIME_STAMPING))
    desk.write("tsa.key", pem_of(key))
    desk.write("ca.pem", desk.authority.own)
    desk.write("serial", b"01\n")
    desk.write("tsa.cnf", CLOCK)
    asked = []

    class Clock(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked.append(self.path)
            desk.write("query", self.rfile.read(int(self.headers["content-length"])))
            subprocess.run(
                ["openssl", "ts", "-reply", "-queryfile", "query", "-out", "answer", "-chain", "ca.pem", *CLOCKWORK],
                cwd=desk.folder,
                check=True,
                capture_output=True,
            )
            answer = (desk.folder / "answer").read_bytes()
            self.send_response(200)
            self.send_header("content-type", "application/timestamp-reply")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, format: str, *words: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Clock) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        made = sharpen(photo, "--c2pa-timestamp", f"http://127.0.0.1:{server.server_port}/clock", desk=desk)
        server.shutdown()
    assert made.exit_code == 0, made.output
    assert asked == ["/clock"]
    told = judge(desk.folder / "photo.sharp.jpg")
    assert told.state in ("Trusted", "Valid")
    assert told.active["signature_info"]["time"].startswith("20")


CLOCKWORK = ("-config", "tsa.cnf", "-section", "clock", "-signer", "tsa.pem", "-inkey", "tsa.key")
CLOCK = b"""[clock]
serial = serial
digests = sha256, sha384, sha512
default_policy = 1.2.3.4.1
ess_cert_id_alg = sha256
signer_digest = sha256
"""


@pytest.mark.skipif(find_spec("av") is None, reason="needs the extra `video`")
def test_a_video_is_refused_in_python_too(desk):
    from acutance.videos.frames import check_takes_frames

    with (
        acutance.Sharpener("fast", engine="onnxruntime", threads=1, signed_by=desk.credential()) as sharpener,
        pytest.raises(ConfigError, match="only photos are signed"),
    ):
        check_takes_frames(sharpener)
