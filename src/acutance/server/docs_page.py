"""`/docs`: the OpenAPI document as a page of its own, which loads nothing from elsewhere and needs no script."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from acutance.server.refusals import TITLES

STYLE = "/page/css/docs.css"


CURL = {
    "sharpen_picture": " -o sharp.jpg",
    "get_job_result": " -OJ",
    "get_job_map": " -o map.png",
    "get_job_tile": " -o tile.jpg",
    "watch_job": " -N",
}
"""What else curl is told, by operation: a picture is not for the terminal, and events are for now."""


def page_of(document: Mapping[str, Any], *, server: str) -> str:
    """Write the page.

    Args:
        document: The OpenAPI document.
        server: Address under which the server is known to who asks, with a slash at its end.
    """
    info = document["info"]
    return "".join(
        (
            '<!doctype html><html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f'<title>{escape(info["title"])}: HTTP API</title><link rel="stylesheet" href="{STYLE}"></head>',
            "<body><main>",
            f"<h1>{escape(info['title'])} {escape(info['version'])}: HTTP API</h1>",
            f"<p>{_text(info['description'])} The same for programs: ",
            '<a href="/openapi.json">openapi.json</a>.</p>',
            *_access(document),
            *_contents(document),
            *_operations(document, server),
            "<h2>Problems</h2><p>The field <code>error</code> of a problem document, and its title.</p><dl>",
            *(f'<dt id="{code}"><code>{code}</code></dt><dd>{escape(title)}.</dd>' for code, title in TITLES.items()),
            "</dl><h2>Schemas</h2>",
            *_schemas(document["components"]["schemas"]),
            "</main></body></html>",
        )
    )


def _access(document: Mapping[str, Any]) -> Iterator[str]:
    if {} in document["security"]:
        yield "<p>This server asks for no token.</p>"
    else:
        yield "<p>This server asks for a token: <code>Authorization: Bearer TOKEN</code>, or as a password.</p>"


def _each(document: Mapping[str, Any]) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            yield path, method.upper(), operation


def _contents(document: Mapping[str, Any]) -> Iterator[str]:
    yield "<nav><ul>"
    for path, method, operation in _each(document):
        yield f'<li><a href="#{operation["operationId"]}"><code>{method} {escape(path)}</code></a> '
        yield f"{escape(operation['summary'])}</li>"
    yield "</ul></nav>"


def _operations(document: Mapping[str, Any], server: str) -> Iterator[str]:
    token = "" if {} in document["security"] else ' -H "Authorization: Bearer TOKEN"'
    for path, method, operation in _each(document):
        yield f'<section id="{operation["operationId"]}"><h2><code>{method} {escape(path)}</code></h2>'
        yield f"<p><strong>{escape(operation['summary'])}.</strong> {_text(operation.get('description', ''))}</p>"
        needed = token if operation.get("security", True) else ""
        yield _example(server.rstrip("/") + path, method, operation, token=needed)
        yield from _parameters(operation.get("parameters", ()))
        body = operation.get("requestBody")
        if body is not None:
            yield f"<h3>Body</h3><p>{_text(body['description'])}</p>"
        yield from _answers(operation["responses"])
        yield "</section>"


def _example(address: str, method: str, operation: Mapping[str, Any], *, token: str) -> str:
    body = " --data-binary @photo.jpg" if "requestBody" in operation else ""
    verb = "" if method == "GET" or body else f" -X {method}"
    asked = address.replace("{job_id}", "JOB").replace("{name}", "NAME")
    command = f"curl{verb}{token}{body} {asked}{CURL.get(operation['operationId'], '')}"
    return f"<pre><code>{escape(command, quote=False)}</code></pre>"


def _parameters(parameters: Any) -> Iterator[str]:  # noqa: ANN401 - JSON
    if parameters:
        yield "<h3>Parameters</h3><table>"
        yield "<thead><tr><th>name</th><th>in</th><th>values</th><th></th></tr></thead><tbody>"
        for one in parameters:
            yield f"<tr><td><code>{escape(one['name'])}</code></td><td>{escape(one['in'])}</td>"
            yield f"<td>{_type(one['schema'])}</td><td>{_text(one.get('description', ''))}</td></tr>"
        yield "</tbody></table>"


def _answers(responses: Mapping[str, Any]) -> Iterator[str]:
    yield "<h3>Answers</h3><table><thead><tr><th>status</th><th>what</th><th>kind</th></tr></thead><tbody>"
    for status, response in sorted(responses.items()):
        kinds = ", ".join(f"<code>{escape(kind)}</code>" for kind in response.get("content", ()))
        yield f"<tr><td>{escape(status)}</td><td>{_text(response['description'])}</td><td>{kinds}</td></tr>"
    yield "</tbody></table>"


def _schemas(schemas: Mapping[str, Any]) -> Iterator[str]:
    for name, schema in schemas.items():
        yield f'<section id="schema-{escape(name)}"><h3>{escape(name)}</h3>'
        yield f"<p>{_text(schema.get('description', ''))}</p>"
        properties = schema.get("properties", {})
        if properties:
            yield "<table><thead><tr><th>field</th><th>values</th><th></th></tr></thead><tbody>"
            for field, one in properties.items():
                yield f"<tr><td><code>{escape(field)}</code></td><td>{_type(one)}</td>"
                yield f"<td>{_text(one.get('description', ''))}</td></tr>"
            yield "</tbody></table>"
        yield "</section>"


def _type(schema: Mapping[str, Any]) -> str:
    """Say in a few words what a value may be."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#schema-{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_type(one) for one in schema["anyOf"])
    if "enum" in schema:
        return ", ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    words = str(schema.get("type", "anything"))
    if "items" in schema:
        return f"list of {_type(schema['items'])}"
    if "minimum" in schema and "maximum" in schema:
        words += f" {schema['minimum']:g} … {schema['maximum']:g}"
    return escape(words)


def _text(words: str) -> str:
    """Return a description as HTML: what stands between backticks is code."""
    pieces = escape(words).split("`")
    return "".join(f"<code>{piece}</code>" if index % 2 else piece for index, piece in enumerate(pieces))
