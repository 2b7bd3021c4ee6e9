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

NARROWEST, HEIGHT = 320, 900  # pixels, in a notebook


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
        style = f"width:100%;min-width:{NARROWEST}px;height:{HEIGHT}px;border:0"
        return (
            f'<iframe title="superloop view" sandbox="allow-scripts allow-modals" style="{style}" '
            f'srcdoc="{html.escape(self.html)}"></iframe>'
        )


def fit_page(facts: dict[str, Any], parts: list[Part], max_bytes: int) -> str:
    """Return the page, with arrays rounded or left out until it is small enough."""
    left_out: list[str] = []
    encoded: list[dict[str, Any]] = []
    for part in parts:
        if part.array.size > MAX_NUMBERS:
            left_out.append(part.facts["name"])
            continue
        encoded.append({"part": part, **encode_half(part.array)})

    def room() -> int:
        return max_bytes - len(_page(facts, [], left_out)) - 300 * len(encoded)

    def total() -> int:
        return sum(len(one["data"]) for one in encoded)

    while total() > room() and (wide := [one for one in encoded if one["form"] == "half"]):
        largest = max(wide, key=lambda one: len(one["data"]))
        if len(largest["data"]) < total() / 50:  # rounding small ones saves nothing
            break
        place = encoded.index(largest)
        encoded[place] = {"part": largest["part"], **encode_byte(largest["part"].array)}
    while total() > room() and len({one["part"].facts["name"] for one in encoded}) > 1:
        largest = max(encoded, key=lambda one: len(one["data"]))
        name = largest["part"].facts["name"]
        encoded = [one for one in encoded if one["part"].facts["name"] != name]  # of both runs
        left_out.append(name)
    return _page(facts, encoded, left_out)


def _page(facts: dict[str, Any], encoded: list[dict[str, Any]], left_out: list[str]) -> str:
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
