"""Sphinx configuration. The documentation builds without a network."""

import levylearn

project = "levylearn"
author = "levylearn developers"
copyright = "2026, levylearn developers"
version = release = levylearn.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_gallery.gen_gallery",
]
root_doc = "index"
templates_path = ["_templates"]
exclude_patterns = ["_build", "_templates", "**/GALLERY_HEADER.rst", "GALLERY_HEADER.rst"]
default_role = "literal"
nitpicky = False
# Docstrings inherited from scikit-learn refer to labels and terms of its own pages.
suppress_warnings = ["ref.ref", "ref.term"]

# The reference lists what each module's __all__ names: see
# _templates/autosummary/module.rst.
autosummary_generate = True
autosummary_ignore_module_all = False
autosummary_imported_members = True
autodoc_default_options = {
    "members": True,
    # Exceptions, tuples and the like bring methods that say nothing about us.
    "inherited-members": "Exception,UserWarning,ValueError,dict,tuple,str,int,Enum,IntEnum",
    "member-order": "groupwise",
}
autodoc_typehints = "none"  # types are in the docstrings, with shapes
numpydoc_show_class_members = False
numpydoc_class_members_toctree = False

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"[\\/]plot_",
    "within_subsection_order": "FileNameSortKey",
    "backreferences_dir": "gen_modules/backreferences",
    "doc_module": ("levylearn",),
    "abort_on_example_error": True,
    "copyfile_regex": r".*\.rst",
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "remove_config_comments": True,
    "min_reported_time": 1,
    "parallel": True,  # as many examples at once as -j says
}

html_theme = "pydata_sphinx_theme"
html_title = f"levylearn {release}"
html_show_sourcelink = False
html_theme_options = {
    "logo": {"text": "levylearn"},
    "navbar_end": ["theme-switcher"],
    "secondary_sidebar_items": ["page-toc"],
    "show_prev_next": False,
}
