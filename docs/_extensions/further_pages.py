"""Navigation that finds new pages by itself.

- A ``README.md`` in a folder of the docs lists the other pages of its folder: those that it
  links to first, in that order.
- ``further-pages`` in ``index.md`` is a toctree of the pages at the top that no other toctree there has.
"""

import re
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.directives.other import TocTree


def _list_folder(app: Sphinx, docname: str, source: list[str]) -> None:
    """Append a hidden toctree of the folder to its README."""
    folder, _, name = docname.rpartition("/")
    if name != "README":
        return
    linked = dict.fromkeys(re.findall(r"\]\(([\w-]+)\.md[#)]", source[0]))
    found = {page.rpartition("/")[2] for page in app.env.found_docs if page.rpartition("/")[0] == folder}
    pages = [page for page in linked if page in found]
    pages += sorted(found - {"README", *pages})
    if pages:
        app.env.glob_toctrees.add(docname)  # read it again when there is a new page
        source[0] += "\n".join(["", "", "```{toctree}", ":hidden:", "", *pages, "```", ""])


class FurtherPages(TocTree):
    """A toctree of the pages at the top that no other toctree of this page has."""

    def run(self) -> list[nodes.Node]:
        """Make the toctree, if there are such pages."""
        docname = self.env.docname
        lines = Path(self.env.doc2path(docname)).read_text().splitlines()
        listed = {line.strip().rpartition("<")[2].rstrip(">") for line in lines} | {docname}
        self.env.glob_toctrees.add(docname)  # read this page again when there is a new one
        pages = sorted(page for page in self.env.found_docs if "/" not in page and page not in listed)
        if not pages:
            return []
        self.content = StringList(pages, docname)
        return super().run()


def setup(app: Sphinx) -> dict[str, Any]:
    """Add the directive, and the lists of folders."""
    app.add_directive("further-pages", FurtherPages)
    app.connect("source-read", _list_folder)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
