"""The documentation site: ``tox -e docs`` builds it."""

import importlib.metadata
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_extensions"))

project = "superloop_core"
author = "the superloop authors"
copyright = f"2026, {author}"
release = importlib.metadata.version("superloop-core")

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "sphinx_gallery.gen_gallery",
    # of this project, in docs/_extensions
    "reference_pages",
    "typeset",
    "further_pages",
    "outside_links",
    "internal_links",
]
# Generated Markdown ends in .markdown, so that what checks *.md sees the sources alone.
source_suffix = {".md": "markdown", ".markdown": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["_*", "examples/**/.*", "examples/**/tests", "gallery", "sg_execution_times.rst"]
smartquotes = False  # primes of equations in prose
highlight_language = "text"  # indented blocks are commands, equations and trees

myst_heading_anchors = 4
suppress_warnings = ["myst.header"]  # some READMEs have a title only

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
maximum_signature_line_length = 100
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
add_module_names = False

# Programs that run when the site is built; one that fails ends the build.
sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "reference/programs",
    "filename_pattern": r"\.py$",
    "abort_on_example_error": True,
    "capture_repr": (),
    "image_scrapers": ("matplotlib", "pictures"),
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
}

html_theme = "furo"
html_title = "superloop_core"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False
html_show_sphinx = False
html_theme_options = {"top_of_page_buttons": [], "navigation_with_keys": True}

copybutton_exclude = ".linenos, .gp, .go"
copybutton_prompt_text = "$ "
