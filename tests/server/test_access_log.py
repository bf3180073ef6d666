"""What an operator sees: a line a request, wrong tokens, and whether the server takes pictures."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from acutance.server import access_log
from acutance.server.access import Access
from acutance.server.access_log import JsonLines, TextLines
from acutance.server.limits import Limits

TOKEN = "t" * 20


class Kept(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def last(self, path: str) -> dict:
        lines = [json.loads(JsonLines().format(record)) for record in self.records]
        return [line for line in lines if line["path"] == path][-1]


@pytest.fixture
def log() -> Iterator[Kept]:
    kept = Kept()
    access_log.LOG.addHandler(kept)
    access_log.LOG.setLevel(logging.INFO)
    yield kept
    access_log.LOG.setLevel(logging.NOTSET)
    access_log.LOG.removeHandler(kept)


def test_a_request_is_a_line_without_the_values_of_its_query(serve, picture, log, until) -> None:
    served = serve(access=Access.with_tokens((TOKEN,)))
    content = picture()
    reply = served.post(
        content, "/v1/sharpen?strength=0.123&format=png", Authorization=f"Bearer {TOKEN}", X_Request_Id="mine-1"
    )
    until(lambda: any("sharpen" in TextLines().format(record) for record in log.records))
    line = log.last("/v1/sharpen")
    assert reply.headers["x-request-id"] == line["request_id"] == "mine-1"
    assert (line["client"], line["method"], line["status"]) == ("127.0.0.1", "POST", 200)
    assert (line["received_bytes"], line["sent_bytes"]) == (len(content), len(reply.body))
    assert line["options"] == ["strength", "format"]
    assert 0 < line["seconds"] < 20
    text = TextLines().format(log.records[-1])
    for shown in (text, json.dumps(line)):
        assert "0.123" not in shown
        assert TOKEN not in shown
        assert "\n" not in shown


def test_what_is_odd_in_a_path_or_an_id_makes_no_second_line(serve, log, until) -> None:
    served = serve()
    reply = served.ask("GET", "/a%0d%0ab?x=%0a", headers={"X-Request-Id": "no id at all"})
    assert reply.headers["x-request-id"] != "no id at all"
    until(lambda: log.records)
    assert "\n" not in TextLines().format(log.records[-1])


def test_other_records_are_json_too() -> None:
    record = logging.LogRecord("acutance.server", logging.WARNING, "", 0, "job %s: no", ("x",), None)
    line = json.loads(JsonLines().format(record))
    assert (line["level"], line["message"]) == ("WARNING", "job x: no")


def test_wrong_tokens_are_logged_and_limited(serve, caplog) -> None:
    served = serve(access=Access.with_tokens((TOKEN,)))
    with caplog.at_level(logging.WARNING, "acutance.server"):
        replies = [served.ask("GET", "/v1/models", headers={"Authorization": "Bearer wrong"}) for _ in range(130)]
    assert [reply.status for reply in replies[:5]] == [401] * 5
    assert replies[-1].status == 429
    assert int(replies[-1].headers["retry-after"]) >= 1
    words = [record.getMessage() for record in caplog.records]
    assert 5 <= len(words) < 10
    assert "a wrong token from 127.0.0.1" in words[0]
    assert served.ask("GET", "/v1/models").status == 401, "who brings none is asked for one"
    assert served.ask("GET", "/v1/models", headers={"Authorization": f"Bearer {TOKEN}"}).status == 200


def test_while_it_drains_it_says_that_it_is_stopping(serve, picture, gate) -> None:
    served = serve(function=gate, limits=Limits(min_free_bytes=0, drain_s=10))
    job_id = served.post(picture(), "/v1/jobs").json["id"]
    gate.wait_until_begun()
    served.server.should_exit = True
    while (reply := served.ask("GET", "/readyz")).status == 200:
        pass
    assert (reply.status, reply.json["error"]) == (503, "stopping")
    assert served.ask("GET", "/healthz").status == 200
    assert served.post(picture()).json["error"] == "stopping"
    gate.is_open.set()
    served.thread.join(10)
    assert not served.thread.is_alive()
    assert (served.folder / "results" / job_id).exists()
