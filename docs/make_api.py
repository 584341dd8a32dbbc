"""Write docs/api.md from the server's OpenAPI document: `python docs/make_api.py`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from photosieve.server.app import create_app
from photosieve.server.library import Library

PAGE = Path(__file__).with_name("api.md")

INTERNAL = ("Body_", "HTTPValidation", "Validation")
"""Schemas that the framework adds."""

HEAD = """# The HTTP API

How do programs use `photosieve serve` over HTTP? This page describes every endpoint.
`docs/make_api.py` writes it from the OpenAPI document, which the server gives at `/openapi.json`. A
test compares them.
[For programs](service.md#for-programs) has an example from labels to a new sieve.

```sh
export PHOTOSIEVE_TOKEN="a token of your own"
photosieve serve --sieve listing-sieve --index listing-index \\
    --host 0.0.0.0 --allow-host photos.example
curl --header "Authorization: Bearer $PHOTOSIEVE_TOKEN" "http://photos.example:8765/search?q=sofa"
```

- **Ids.** A photo has an opaque id, such as `6f1c0b9a4d2e8f37`: no answer names a folder of the
  machine. Ids stay the same as long as the index is where it is.
- **Errors** are problem details (RFC 9457): JSON with `title`, `status` and `detail`, one sentence
  for people. 429 and 503 say in `Retry-After` when to come back.
- **Pages.** Where an answer has more than fits, `next` is the address of the rest, else null.
- **Addresses** in answers are paths on the same host. With `--root-path /photos` they begin with
  that path: resolve them against the address of the request.
- **Caching.** Photos and thumbnails have an `ETag`; the address of a thumbnail in an answer holds
  its version, so that it may be kept for ever.
- **Access.** Without a token, every user of this machine may ask. With a token, programs send it as
  a bearer token, and people log in at `/login`. Requests by pages of other sites are refused, and
  so are names in `Host` that are not the server's: add them with `--allow-host`.
- **Limits.** 1000 requests in 5 s for each client, 64 at a time, 60 uploads a minute of 20 MB each,
  1 MB for any other body, 60 s for an answer, 10 wrong tokens a minute. A body needs a
  `Content-Length`. [All limits](service.md#limits).
"""


def document() -> dict[str, Any]:
    """Return the OpenAPI document; no index is opened for it."""
    return create_app(Library(Path("sieve"), "index")).openapi()


def page() -> str:
    """Write the page."""
    api, parts = document(), [HEAD]
    by_tag: dict[str, list[tuple[str, str, dict[str, Any]]]] = {}
    for path, methods in api["paths"].items():
        for method, operation in methods.items():
            by_tag.setdefault(operation["tags"][0], []).append((method.upper(), path, operation))
    for tag, operations in by_tag.items():
        parts.append(f"\n## {tag.capitalize()}\n")
        parts += [_operation(api, *operation) for operation in operations]
    parts.append("\n## What answers hold\n")
    for name, schema in sorted(api["components"]["schemas"].items()):
        if "properties" in schema and not name.startswith(
            ("Body_", "HTTPValidation", "Validation")
        ):
            parts.append(f"\n### {name}\n\n{schema.get('description', '')}\n\n{_fields(schema)}")
    return "".join(parts)


def _operation(api: dict[str, Any], method: str, path: str, operation: dict[str, Any]) -> str:
    lines = [f"\n### `{method} {path}`\n\n{operation['summary']}. {operation['description']}\n"]
    rows = [
        f"| `{p['name']}` | {p['in']}{', required' if p.get('required') else ''} "
        f"| {_kind(p['schema'])} | {_text(p.get('description', ''))} |"
        for p in operation.get("parameters", ())
    ]
    if rows:
        lines.append(
            "\n| parameter | where | type | |\n| --- | --- | --- | --- |\n" + "\n".join(rows)
        )
        lines.append("\n")
    if body := operation.get("requestBody"):
        (kind, content), *_ = body["content"].items()
        schema = _resolved(api, content["schema"])
        lines.append(f"\nBody, `{kind}`:\n\n{_fields(schema)}")
    for status, answer in operation["responses"].items():
        if status.startswith("2"):
            (kind, content), *_ = answer.get("content", {"": {}}).items() or [("", {})]
            name = _kind(content.get("schema", {})) if kind == "application/json" else f"`{kind}`"
            lines.append(f"\nAnswers {status}: {name if name.strip('`') else 'a picture'}\n")
    return "".join(lines)


def _resolved(api: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    name = schema.get("$ref", "").rpartition("/")[2]
    found: dict[str, Any] = api["components"]["schemas"][name] if name else schema
    return found


def _fields(schema: dict[str, Any]) -> str:
    rows = [
        f"| `{name}` | {_kind(field)} | {_text(field.get('description', ''))} |"
        for name, field in schema.get("properties", {}).items()
    ]
    return "| field | type | |\n| --- | --- | --- |\n" + "\n".join(rows) + "\n"


def _text(text: str) -> str:
    """A text inside a table, where a bar would end the cell."""
    return text.replace("|", "\\|")


def _kind(schema: dict[str, Any]) -> str:
    """Say a type in words."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    if "enum" in schema or "const" in schema:
        return ", ".join(f"`{value}`" for value in schema.get("enum", [schema.get("const")]))
    if schema.get("type") == "array":
        return f"list of {_kind(schema['items'])}"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_kind(schema['additionalProperties'])}"
    return str(schema.get("type", "anything"))


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
