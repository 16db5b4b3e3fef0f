"""`/api/docs`: the API's description for people, made from its OpenAPI description without a line of script."""

from __future__ import annotations

from html import escape
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import HTMLResponse

router = APIRouter()

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; color: #1c2530 }
h1 { margin-bottom: 0 } h2 { margin-top: 2.5rem; border-bottom: 1px solid #d5dbe3; text-transform: capitalize }
details { border: 1px solid #d5dbe3; border-radius: 6px; margin: .5rem 0; padding: .5rem .8rem }
summary { cursor: pointer } code, .method { font-family: ui-monospace, monospace }
.method { display: inline-block; width: 4.5rem; font-weight: 600 } .get { color: #0b6e4f } .delete { color: #a4161a }
.post, .put, .patch { color: #8a4b08 }
table { border-collapse: collapse; margin: .5rem 0; width: 100% }
td { border-top: 1px solid #e6eaef; padding: .2rem .6rem }
td:first-child { width: 14rem } td:nth-child(2) { width: 12rem; color: #5a6675 }
@media (prefers-color-scheme: dark) { body { background: #12171e; color: #dbe2ea } }
"""


@router.get("/api/docs", response_class=HTMLResponse, include_in_schema=False)
def documentation(request: Request) -> HTMLResponse:
    """Every route with its parameters, body and answer."""
    return HTMLResponse(render(request.app.openapi()))


def render(api: dict[str, Any]) -> str:
    """The page."""
    by_tag: dict[str, list[str]] = {}
    for path, methods in api["paths"].items():
        for method, route in methods.items():
            by_tag.setdefault(route.get("tags", ["other"])[0], []).append(_route(api, path, method, route))
    sections = "".join(f"<h2>{escape(tag)}</h2>{''.join(routes)}" for tag, routes in by_tag.items())
    title = f"{api['info']['title']} {api['info']['version']}: API"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f"<h1>{escape(title)}</h1><p>{escape(api['info'].get('description', ''))}</p>"
        f'<p>For programs: <a href="/api/openapi.json">openapi.json</a></p>{sections}</body></html>'
    )


def _route(api: dict[str, Any], path: str, method: str, route: dict[str, Any]) -> str:
    parts = [f"<p>{escape(route.get('description', ''))}</p>"]
    parameters = [
        (entry["name"], _kind(entry["schema"]), entry.get("description", "") or entry["in"])
        for entry in route.get("parameters", [])
    ]
    parts += [_table("Parameters", parameters)]
    for kind, content in route.get("requestBody", {}).get("content", {}).items():
        parts.append(_table(f"Body ({kind})", _fields(api, content.get("schema", {}))))
    for status, response in route.get("responses", {}).items():
        for content in response.get("content", {}).values():
            if status.startswith("2"):
                parts.append(_table(f"Answer {status}", _fields(api, content.get("schema", {}))))
    head = f'<span class="method {method}">{method.upper()}</span><code>{escape(path)}</code>'
    return f"<details><summary>{head} &ensp;{escape(route.get('summary', ''))}</summary>{''.join(parts)}</details>"


def _fields(api: dict[str, Any], schema: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Fields of an object; of a page, those of its items."""
    found = _resolve(api, schema)
    if found.get("type") == "array":
        return _fields(api, found["items"])
    properties = found.get("properties", {})
    if set(properties) == {"items", "next"}:
        return [(f"items[].{name}", kind, text) for name, kind, text in _fields(api, properties["items"])] + [
            ("next", "string | null", "cursor of the next page")
        ]
    return [(name, _kind(entry), entry.get("description", "")) for name, entry in properties.items()]


def _resolve(api: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    if "anyOf" in schema:  # optional: the first that is not null
        schema = next((entry for entry in schema["anyOf"] if entry.get("type") != "null"), {})
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return dict(api["components"]["schemas"][name])
    return schema


def _kind(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " | ".join(_kind(entry) for entry in schema["anyOf"])
    if "$ref" in schema:
        return str(schema["$ref"].rsplit("/", 1)[-1])
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    if schema.get("type") == "array":
        return f"[{_kind(schema.get('items', {}))}]"
    return str(schema.get("type", "object"))


def _table(title: str, rows: list[tuple[str, str, str]]) -> str:
    if not rows:
        return ""
    cells = "".join(
        f"<tr><td><code>{escape(name)}</code></td><td>{escape(kind)}</td><td>{escape(text)}</td></tr>"
        for name, kind, text in rows
    )
    return f"<b>{escape(title)}</b><table>{cells}</table>"
