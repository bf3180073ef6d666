"""Webhooks: sent to hosts that were allowed and to no others, signed, tried again, and never in the way of work."""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.server
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from acutance.errors import ConfigError
from acutance.server.job_store import JobStore
from acutance.server.jobs import JobResult, NewJob, new_job_id
from acutance.server.metrics import Metrics
from acutance.server.options import ModelChoice, Options
from acutance.server.webhook_delivery import WebhookDelivery
from acutance.server.webhooks import WebhookPolicy, is_public, message_of

SECRET = bytes(range(32))


@dataclass
class Receiver:
    """Somebody who is told; answers what is in `statuses`, then 204."""

    port: int = 0
    statuses: list[int] = field(default_factory=list)
    heard: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    holds: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/told?by=us"

    @property
    def policy(self) -> WebhookPolicy:
        return WebhookPolicy(hosts=frozenset({("127.0.0.1", self.port)}), secret=SECRET, is_test=True)


@contextmanager
def receiving(*, waits: bool = False) -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            receiver.heard.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
            if waits:
                receiver.holds.wait(60)
            status = receiver.statuses.pop(0) if receiver.statuses else 204
            self.send_response(status)
            if status in (301, 302, 307):
                self.send_header("Location", f"http://127.0.0.1:{receiver.port}/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.holds.set()
        server.shutdown()
        server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


@pytest.fixture
def store(tmp_path: Path) -> Iterator[JobStore]:
    made = JobStore(tmp_path)
    yield made
    made.close()


def finished(store: JobStore, url: str | None) -> str:
    """Put a job into the list that is over."""
    options = Options(model=ModelChoice(name="fast"))
    job = store.add(
        NewJob(
            id=new_job_id(),
            client="1.2.3.4",
            owner="o",
            key=None,
            fingerprint=None,
            stem="a",
            options=options,
            upload_bytes=1,
            webhook=url,
        )
    )
    store.begin(job.id)
    store.finish(job.id, JobResult(media_type="image/png", bytes=1, seconds=1.0, megapixels=1.0, lost=()))
    return job.id


@contextmanager
def delivering(policy: WebhookPolicy, store: JobStore, **options: object) -> Iterator[WebhookDelivery]:
    delivery = WebhookDelivery(policy, store, Metrics(), **options)  # type: ignore[arg-type]
    delivery.start()
    try:
        yield delivery
    finally:
        delivery.close()


def test_a_job_that_is_over_is_told_signed_by_the_standard(serve, picture, receiver, until) -> None:
    served = serve(webhooks=receiver.policy)
    posted = served.post(picture(), f"/v1/jobs?webhook={receiver.url.replace('?', '%3F')}").json
    assert posted["webhook"] == {"url": receiver.url, "state": "waiting", "tries": 0}
    until(lambda: served.job(posted["id"])["webhook"]["state"] == "sent")
    ((path, headers, body),) = receiver.heard
    assert path == "/told?by=us"
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = base64.b64encode(hmac.new(SECRET, signed, hashlib.sha256).digest()).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert abs(int(headers["webhook-timestamp"]) - time.time()) < 60
    told = json.loads(body)
    assert told["type"] == "job.done"
    assert told["data"]["id"] == posted["id"]
    assert told["data"]["result_url"] == f"/v1/jobs/{posted['id']}/result"
    assert 'acutance_webhooks_total{outcome="sent"} 1.0' in served.ask("GET", "/metrics").body.decode()


def test_what_failed_and_what_was_cancelled_is_told_too(serve, gate, picture, receiver, until) -> None:
    served = serve(function=gate, webhooks=receiver.policy)
    job = served.post(picture(), f"/v1/jobs?webhook=http://127.0.0.1:{receiver.port}/").json["id"]
    gate.wait_until_begun()
    served.ask("DELETE", f"/v1/jobs/{job}")
    gate.is_open.set()
    broken = served.post(picture()[:60], f"/v1/jobs?webhook=http://127.0.0.1:{receiver.port}/").json["id"]
    until(lambda: len(receiver.heard) == 2)
    told = {json.loads(body)["data"]["id"]: json.loads(body)["type"] for _, _, body in receiver.heard}
    assert told == {job: "job.cancelled", broken: "job.failed"}


def test_it_is_tried_again_under_the_same_id_and_given_up_in_the_end(store, receiver, until) -> None:
    receiver.statuses = [500, 302, 200]
    job = finished(store, receiver.url)
    with delivering(receiver.policy, store, waits_s=(0.01, 0.01, 0.01)):
        until(lambda: store.get(job).webhook_is_sent)
    assert [path for path, _, _ in receiver.heard] == ["/told?by=us"] * 3, "a redirection is not followed"
    assert len({headers["webhook-id"] for _, headers, _ in receiver.heard}) == 1
    receiver.statuses = [500] * 9
    lost = finished(store, receiver.url)
    with delivering(receiver.policy, store, waits_s=(0.01,)):
        until(lambda: store.get(lost).webhook_due is None)
    given_up = store.get(lost)
    assert (given_up.webhook_tries, given_up.webhook_is_sent) == (2, False)


def test_who_is_gone_is_not_asked_again(store, receiver, until) -> None:
    receiver.statuses = [410]
    job = finished(store, receiver.url)
    with delivering(receiver.policy, store, waits_s=(0.01, 0.01)):
        until(lambda: store.get(job).webhook_due is None)
    assert store.get(job).webhook_tries == 1


def test_waits_grow_and_outlive_the_server(tmp_path, receiver, until) -> None:
    store = JobStore(tmp_path)
    job = finished(store, "http://127.0.0.1:1/")
    policy = WebhookPolicy(hosts=frozenset({("127.0.0.1", 1)}), secret=SECRET, is_test=True)
    with delivering(policy, store):
        until(lambda: store.get(job).webhook_tries == 1)
    due = store.get(job).webhook_due
    store.close()
    again = JobStore(tmp_path, now=lambda: due + 1)
    with delivering(policy, again):
        until(lambda: again.get(job).webhook_tries == 2)
    assert again.get(job).webhook_due == pytest.approx(due + 1 + 30)
    again.close()


@pytest.mark.parametrize(
    "address",
    ["127.0.0.1", "10.1.2.3", "169.254.169.254", "::1", "fd00::1", "100.64.0.1", "::ffff:10.0.0.1", "224.0.0.1"],
)
def test_a_name_that_points_into_a_network_of_ours_is_not_connected_to(store, until, address: str) -> None:
    """Nor one with both kinds of addresses, whichever comes first."""
    policy = WebhookPolicy(hosts=frozenset({("hooks.example.org", 443)}), secret=SECRET)
    job = finished(store, "https://hooks.example.org/")
    asked = []

    def resolve(host: str, port: int) -> list[str]:
        asked.append((host, port))
        return ["192.0.78.9", address]

    with delivering(policy, store, waits_s=(), resolve=resolve):
        until(lambda: store.get(job).webhook_due is None)
    assert asked == [("hooks.example.org", 443)]
    assert not store.get(job).webhook_is_sent


def test_the_connection_goes_to_the_address_that_was_checked(store, receiver, until) -> None:
    """A name is looked up once a try; nothing asks again while connecting, as a name that moves would want."""
    policy = WebhookPolicy(hosts=frozenset({("hooks.example.org", receiver.port)}), secret=SECRET, is_test=True)
    job = finished(store, f"http://hooks.example.org:{receiver.port}/")
    answers = [["127.0.0.1"]]
    with delivering(policy, store, resolve=lambda host, port: answers.pop()):
        until(lambda: store.get(job).webhook_is_sent)
    assert receiver.heard[0][1]["host"] == f"hooks.example.org:{receiver.port}"


def test_slow_receivers_delay_no_work_and_no_end(serve, picture, until) -> None:
    with receiving(waits=True) as slow:
        served = serve(webhooks=slow.policy)
        for seed in range(6):
            served.post(picture(seed=seed), f"/v1/jobs?webhook=http://127.0.0.1:{slow.port}/")
        until(lambda: len(slow.heard) >= 4)
        assert served.post(picture()).status == 200
        start = time.monotonic()
        served.stop()
        assert time.monotonic() - start < 30


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.org/",
        "https://hooks.example.org:8443/",
        "https://other.example.org/",
        "https://hooks.example.org.evil.example/",
        "https://hooks.example.org@evil.example/",
        "https://evil.example\\@hooks.example.org/",
        "https://user:secret@hooks.example.org/",
        "https://hooks.example.org:0x1bb/",
        "https://hooks.example.org/#part",
        "https://hooks.example.org/a b",
        "https://hooks.example.org/a\r\nX: y",
        "https://hooks.example.org/\u00e9",
        "ftp://hooks.example.org/",
        "//hooks.example.org/",
        "https://",
        "https://[::1/",
        "",
    ],
)
def test_what_is_not_allowed_is_refused(url: str) -> None:
    policy = WebhookPolicy(hosts=frozenset({("hooks.example.org", 443)}), secret=SECRET)
    with pytest.raises(ConfigError, match="webhook: "):
        policy.target(url)
    target = policy.target("https://HOOKS.example.org/a?b=c")
    assert (target.host, target.port, target.path, target.is_tls) == ("hooks.example.org", 443, "/a?b=c", True)


def test_a_server_that_allows_no_host_refuses_webhooks(shared, picture) -> None:
    refused = shared.post(picture(), "/v1/jobs?webhook=https://hooks.example.org/")
    assert refused.status == 422
    assert "--webhook-host" in refused.json["detail"]
    assert shared.post(picture(), "/v1/sharpen?webhook=https://hooks.example.org/").status == 422


def test_another_webhook_is_another_post(serve, picture, receiver) -> None:
    served = serve(webhooks=receiver.policy)
    url = f"http://127.0.0.1:{receiver.port}"
    headers = {"Idempotency_Key": "k"}
    assert served.post(picture(), f"/v1/jobs?webhook={url}/a", **headers).status == 202
    assert served.post(picture(), f"/v1/jobs?webhook={url}/a", **headers).status == 200
    assert served.post(picture(), f"/v1/jobs?webhook={url}/b", **headers).json["error"] == "key_reused"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("93.184.215.14", True),
        ("2606:2800:21f:cb07::1", True),
        ("64:ff9b::5db8:d70e", True),
        ("64:ff9b::a00:1", False),
        ("2002:a00:1::", False),
        ("::ffff:127.0.0.1", False),
        ("fe80::1%eth0", False),
        ("0.0.0.0", False),
        ("255.255.255.255", False),
        ("192.168.1.1", False),
        ("name", False),
    ],
)
def test_public_addresses(address: str, expected: bool) -> None:
    assert is_public(address) is expected


def test_the_secret_and_the_hosts_belong_together(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_text("whsec_" + base64.b64encode(SECRET).decode() + "\n")
    policy = WebhookPolicy.of(["Hooks.example.org", "other.example:8443"], file)
    assert policy.hosts == {("hooks.example.org", 443), ("other.example", 8443)}
    assert policy.secret == SECRET
    assert not policy.is_test
    assert WebhookPolicy.of([], None) == WebhookPolicy()
    for hosts, secret in (([], file), (["a.example"], None), (["https://a.example"], file), (["a.example:0"], file)):
        with pytest.raises(ConfigError, match="--webhook-host"):
            WebhookPolicy.of(hosts, secret)
    file.write_text("whsec_c2hvcnQ=")
    with pytest.raises(ConfigError, match="24 to 64 bytes"):
        WebhookPolicy.of(["a.example"], file)
    with pytest.raises(ConfigError, match="cannot be read"):
        WebhookPolicy.of(["a.example"], tmp_path / "none")


def test_a_message_does_not_tell_its_job_by_its_id(store: JobStore) -> None:
    job = store.get(finished(store, "https://a.example/"))
    message = message_of(job, secret=SECRET, now=1e9)
    assert job.id not in message.headers["webhook-id"]
