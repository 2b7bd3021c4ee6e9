"""The pages in ``docs/reference``, which are made when the site is built; git ignores them.

They are Markdown that ends in ``.markdown``. A page is written only if it changes, and one that nothing
makes any more is deleted.
"""

from itertools import chain
from pathlib import Path
from typing import Any

from api_pages import api_pages, keep_colons, skip_foreign
from docutils import nodes
from file_pages import file_pages
from outside_links import DOCS
from part_pages import part_pages
from sphinx import addnodes
from sphinx.application import Sphinx

REFERENCE = DOCS / "reference"


def write(app: Sphinx) -> None:
    """Write all pages."""
    parts = dict(part_pages(app))
    of_parts = {name.rpartition("/")[2]: f"{name}.markdown" for name in parts}
    written = {_write(*page) for page in chain(parts.items(), file_pages(of_parts), api_pages())}
    for path in REFERENCE.rglob("*.markdown"):
        if path not in written:
            path.unlink()


def _write(name: str, text: str) -> Path:
    path = REFERENCE / f"{name}.markdown"
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text + "\n":
        path.write_text(text + "\n")
    return path


def link_memories(app: Sphinx, doctree: nodes.document) -> None:
    """Link the names in the first column of the tables of the page on memories to their pages."""
    if app.env.docname != "memories":
        return
    for row in list(doctree.findall(nodes.row)):
        for literal in list(row.children[0].findall(nodes.literal)):
            page = f"reference/memories/{literal.astext()}"
            if page in app.env.found_docs:
                link = addnodes.pending_xref(
                    "", refdomain="std", reftype="doc", reftarget=f"/{page}", refexplicit=True, refwarn=True,
                    refdoc="memories",
                )  # fmt: skip
                literal.parent.replace(literal, link)
                link.append(literal)


def setup(app: Sphinx) -> dict[str, Any]:
    """Write the pages before Sphinx looks for sources."""
    app.connect("builder-inited", write)
    app.connect("doctree-read", link_memories)
    app.connect("autodoc-skip-member", skip_foreign)
    app.connect("autodoc-process-docstring", keep_colons, priority=400)  # before napoleon
    return {"parallel_read_safe": True, "parallel_write_safe": True}
