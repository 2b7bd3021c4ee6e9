"""Page: one HTML file with everything in it."""

import base64
import hashlib
import html
import json
import os
import webbrowser
from importlib import resources
from pathlib import Path
from typing import Any

import attrs

from superloop_core.runs import replace_file
from superloop_plugin_view.viewer.content import Part
from superloop_plugin_view.viewer.encoding import DIGITS, MAX_NUMBERS, encode_byte, encode_half

NOTEBOOK_STYLE = "width:100%;min-width:320px;height:900px;border:0"


@attrs.frozen
class Page:
    """A page: ``page.save("view.html")``. A notebook shows it.

    Args:
        html: the whole page, which needs no other file and no network.
    """

    html: str = attrs.field(repr=lambda text: f"{len(text):,} characters")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the page.

        Raises:
            OSError: it cannot be written; an older file stays.
        """
        replace_file(Path(path), lambda new: new.write_text(self.html, encoding="utf-8"))

    def open(self, path: str | os.PathLike[str]) -> None:
        """Write the page, and open it in the browser."""
        self.save(path)
        webbrowser.open(Path(path).absolute().as_uri())

    def _repr_html_(self) -> str:
        """Return a frame that holds the page, for notebooks."""
        return (
            f'<iframe title="superloop view" sandbox="allow-scripts allow-modals" style="{NOTEBOOK_STYLE}" '
            f'srcdoc="{html.escape(self.html)}"></iframe>'
        )


def fit_page(facts: dict[str, Any], parts: list[Part], max_bytes: int, panel: str = "") -> str:
    """Return the page, with arrays rounded or left out until it is small enough.

    Only a page with a panel may send a form, to the server that it is from.
    """
    left_out = [part.facts["name"] for part in parts if part.array.size > MAX_NUMBERS]
    small = [part for part in parts if part.array.size <= MAX_NUMBERS]
    encoded = [{"part": part, **encode_half(part.array)} for part in small]

    def size(one: dict[str, Any]) -> int:
        return len(one["data"]) + len(json.dumps(one["part"].facts)) + 150

    def is_large() -> bool:
        return sum(map(size, encoded)) > max_bytes - len(_page(facts, [], left_out, panel))

    while is_large() and (found := [one for one in encoded if one["part"].facts["kind"] == "less"]):
        encoded.remove(max(found, key=size))  # differences are then those of rounded numbers
    while is_large() and (found := [one for one in encoded if one["form"] == "half"]):
        largest = max(found, key=size)
        if size(largest) < sum(map(size, encoded)) / 50:  # rounding small ones saves nothing
            break
        encoded[encoded.index(largest)] = {"part": largest["part"], **encode_byte(largest["part"].array)}
    while is_large() and len({one["part"].facts["name"] for one in encoded}) > 1:
        name = max(encoded, key=size)["part"].facts["name"]
        encoded = [one for one in encoded if one["part"].facts["name"] != name]  # of both runs
        left_out.append(name)
    return _page(facts, encoded, left_out, panel)


def _page(facts: dict[str, Any], encoded: list[dict[str, Any]], left_out: list[str], panel: str) -> str:
    runs = [
        {**run, "arrays": [_array_facts(one) for one in encoded if one["part"].facts["run"] == index]}
        for index, run in enumerate(facts["runs"])
    ]
    data = json.dumps(
        {**facts, "runs": runs, "left_out": list(dict.fromkeys(left_out)), "rounding": DIGITS},
        separators=(",", ":"),
    )
    here = resources.files("superloop_plugin_view.viewer")
    template, script, style = (
        here.joinpath(name).read_text(encoding="utf-8") for name in ("page.html", "viewer.js", "viewer.css")
    )
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    values = {
        "title": html.escape(facts["title"]),
        "digest": digest,
        "target": "'self'" if panel else "'none'",
        "panel": panel,
        "style": style,
        "script": script,
        "data": data.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e"),
    }
    pieces = template.split("%%")  # text, name, text, name, ... text
    return "".join(values[piece] if place % 2 else piece for place, piece in enumerate(pieces))


def _array_facts(one: dict[str, Any]) -> dict[str, Any]:
    own = {name: value for name, value in one["part"].facts.items() if name != "run"}
    sizes = list(one["part"].array.shape)
    return {**own, "shape": sizes, **{name: value for name, value in one.items() if name != "part"}}
