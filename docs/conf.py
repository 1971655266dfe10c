"""Configuration of the manual; ``make docs`` builds it and treats warnings as errors."""

import os
import sys
from importlib.metadata import version as installed_version
from importlib.util import find_spec
from pathlib import Path

# Kernels are documented as the Python functions they are; a compiled one hides its docstring.
os.environ["NUMBA_DISABLE_JIT"] = "1"
sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "compress-mpi"
author = "the compress-mpi developers"
release = version = installed_version("compress-mpi")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinxcontrib.bibtex",
    "benchmark_tables",
    "mathml",
    "reference_tables",
]
exclude_patterns = ["_build", "generated"]
bibtex_bibfiles = ["references.bib"]
html_math_renderer = "mathml"
math_eqref_format = "Eq. ({number})"

nitpicky = True
# Shapes and words in the type slot of numpy docstrings ("float64 (replica, flavour, x)") are no
# references; what begins with the name of the package is, and has to resolve, save type variables
# and private types in signatures.
nitpick_ignore_regex = [
    ("py:.*", r"(?!compress_mpi\.).*"),
    ("py:(class|obj)", r"compress_mpi\..*\.(T|R|_\w+)"),
    # their fields are the runcard reference
    ("py:class", r"compress_mpi\.io\.settings(_\w+)?\.\w+"),
    # two classes of this name: without an index entry no link leads to the wrong one
    ("py:class", r"compress_mpi\..*\.(Target|Layout|Shape|Table)"),
]

add_module_names = False
autodoc_member_order = "bysource"
# The manual can be built without the optional extras.
autodoc_mock_imports = [name for name in ("torch", "zuko", "eko", "psij") if find_spec(name) is None]
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_type_aliases = {"FloatArray": "FloatArray", "IntArray": "IntArray"}
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True

html_theme = "furo"
html_title = f"compress-mpi {version}"
html_static_path = ["_static"]
html_css_files = ["manual.css"]


def setup(app):
    """Leave out the fields of named tuples, which their docstrings describe better."""
    app.connect(
        "autodoc-skip-member",
        lambda app, what, name, member, skip, options: (
            True if str(member.__doc__ or "").startswith("Alias for field number") else None
        ),
    )
