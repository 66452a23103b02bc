"""How Sphinx builds the site of this folder: `make site`, and tests/test_site.py, which lets no warning pass."""

project = "jessy"
author = "the jessy project"
copyright = "the jessy project, MIT"  # noqa: A001 (Sphinx's name)
extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["examples", "reports", "site"]
html_theme = "furo"
html_title = "jessy"
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]
# links that leave this folder lead into the checkout; tests/test_links.py follows every one
suppress_warnings = ["myst.xref_missing"]
