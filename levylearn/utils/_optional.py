"""Packages that are imported on first use, and the extras that bring them."""

from __future__ import annotations

import importlib
import warnings
from types import ModuleType

_EXTRA_OF = {
    "matplotlib": "plot",
    "plotly": "report",
    "skops": "report",
    "pyarrow": "parquet",
    "distributed": "distributed",
    "xgboost": "boosting",
    "torch": "neural",
    "skorch": "neural",
    "zuko": "neural",
    "SALib": "sensitivity",
    "emcee": "bayes",
    "arviz": "bayes",
}
# ArviZ announces its next release when it is first imported on a day, whoever imports it.
_ANNOUNCEMENT = r"\s*ArviZ is undergoing a major refactor"


def import_optional(module: str, caller: str) -> ModuleType:
    """Import an optional module, or say which extra brings it."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=_ANNOUNCEMENT, category=FutureWarning)
            return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        extra = _EXTRA_OF.get(package, "all")
        raise ImportError(
            f"{caller} requires {package}: pip install 'levylearn[{extra}]'."
        ) from error
