"""Links of the Markdown sources to files that are no pages of the site.

The sources are read on GitHub too, so they link to files as they lie in the repository: a README of a plugin,
a config, a folder. Each such link leads to the page that shows the file.
"""

import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
EXAMPLES = DOCS / "examples"
PROJECT = {
    "CHANGELOG.md": "changelog",
    "CONTRIBUTING.md": "contributing",
    "SECURITY.md": "security",
}  # files at the root that are pages

_LINK = re.compile(r"\]\((?!\w+:|#|/)([^)#\s]+)(#[^)\s]*)?\)")
_FENCE = re.compile(r"^(```.*?^```\s*?$)", flags=re.MULTILINE | re.DOTALL)


def config_name(path: Path) -> str:
    """Return the name of an example config, or of a folder of them: ``learning/copy_ntm``."""
    return str(path.relative_to(EXAMPLES).with_suffix(""))


def config_anchor(path: Path) -> str:
    """Return the anchor of a config, or of a folder of configs, on the page of configs."""
    return "config-" + config_name(path).replace("/", "-")


def site_link(path: Path, anchor: str = "") -> str | None:
    """Return a link to the page that shows a file; None: the file is a page itself, or has none.

    Args:
        path: of the file or folder, absolute and without ``..``.
        anchor: a place in it, such as ``#callbacks``.
    """
    if (path / "README.md").exists():
        path /= "README.md"
    if path.is_relative_to(EXAMPLES) and (path.is_dir() or path.suffix == ".toml"):
        if path == EXAMPLES:
            return "/reference/configs.markdown"
        return f"#{config_anchor(path)}"
    if path == DOCS / "gallery":
        return "/reference/programs/index.rst"
    if path.is_relative_to(DOCS):
        return f"/{path.relative_to(DOCS)}{anchor}" if path.suffix == ".md" else None
    inside = path.relative_to(ROOT)
    if str(inside) == "README.md":
        return "/index.md"
    if str(inside) in PROJECT:
        return f"/reference/project/{PROJECT[str(inside)]}.markdown{anchor}"
    if inside.parts[0] == "plugins" and inside.name == "README.md":
        return f"/reference/distributions/{inside.parts[1]}.markdown{anchor}"
    return None


def with_site_links(text: str, folder: Path) -> str:
    """Replace the links of a Markdown file to other files.

    Args:
        text: of the file.
        folder: in which the file lies.
    """

    def link(match: re.Match[str]) -> str:
        target = site_link((folder / match[1]).resolve(), match[2] or "")
        return match[0] if target is None else f"]({target})"

    parts = _FENCE.split(text)  # every second one is a fenced block
    return "".join(part if i % 2 else _LINK.sub(link, part) for i, part in enumerate(parts))


def _replace(app: Sphinx, docname: str, source: list[str]) -> None:
    path = Path(app.env.doc2path(docname))
    if path.suffix == ".md":
        source[0] = with_site_links(source[0], path.parent)


def setup(app: Sphinx) -> dict[str, Any]:
    """Replace links when a source is read."""
    app.connect("source-read", _replace)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
