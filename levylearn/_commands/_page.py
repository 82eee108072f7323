"""``levylearn report``: a page about a calibrator, or about a model and the quotes of a market."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import pandas as pd

from levylearn._commands._calibrate import fitted, prepared
from levylearn.datasets import SurfaceDataset
from levylearn.inspection import calibration_report
from levylearn.models import get_model
from levylearn.pricing import ContourPricer
from levylearn.utils._optional import import_optional

# Whose classes a file may hold: others could do anything when they are read.
_TRUSTED = ("levylearn.", "sklearn.", "numpy.dtype")
_READERS = {".parquet": pd.read_parquet, ".csv": pd.read_csv}


def report(arguments: Namespace) -> dict[str, Any]:
    """Write the page; the result is plain values."""
    import_optional("plotly", "levylearn report")
    if arguments.n_samples < 1:
        raise ValueError(f"--n-samples must be at least 1; got {arguments.n_samples}.")
    out = Path(arguments.out)
    if not out.absolute().parent.is_dir():
        raise ValueError(f"--out: there is no folder {str(out.parent)!r}.")
    calibrator, X, y, pricer = _of_quotes(arguments) if arguments.data else _of_files(arguments)
    calibration_report(calibrator, X, y, pricer=pricer, path=out)
    return {
        "path": str(out),
        "calibrator": type(calibrator).__name__,
        "n_samples": len(X),
        "parameters_known": y is not None,
        "bytes": out.stat().st_size,
    }


def _of_quotes(arguments: Namespace) -> tuple[Any, Any, None, None]:
    """Calibrator of a model, and the surface of a chain."""
    name = get_model(arguments.model).name
    quotes, settings = prepared(arguments, [name])
    return fitted(name, quotes.chain, settings[name]), quotes.chain.prices[None, :], None, None


def _of_files(arguments: Namespace) -> tuple[Any, Any, Any, Any]:
    """Calibrator, surfaces, their parameters and what prices them, from files."""
    calibrator = _read_calibrator(arguments.calibrator)
    path, pricer = Path(arguments.surfaces), None
    if path.is_dir():
        dataset = SurfaceDataset(path)
        frame, names = dataset.to_frame(arguments.n_samples), dataset.parameter_names
        if not hasattr(calibrator, "pricer_"):
            pricer = ContourPricer(dataset.model, dataset.grid, output=dataset.output)
    else:
        frame = _read_frame(path).head(arguments.n_samples)
        known = getattr(calibrator, "parameter_names_", ())
        names = [name for name in known if name in frame]
    X, y = frame.drop(columns=names), frame[names]
    if not hasattr(calibrator, "feature_names_in_"):
        X = X.to_numpy()
    return calibrator, X, y if names else None, pricer


def _read_calibrator(path: str) -> Any:
    io = import_optional("skops.io", "levylearn report")
    try:
        types = io.get_untrusted_types(file=path)
        strange = [name for name in types if not name.startswith(_TRUSTED)]
        if not strange:
            return io.load(path, trusted=types)
    except BadZipFile:
        raise ValueError(f"{path} is no file of skops.io.") from None
    raise ValueError(
        f"{path} holds {', '.join(strange)}, and only classes of levylearn and scikit-learn are "
        f"read from files; in Python, calibration_report takes any calibrator."
    )


def _read_frame(path: Path) -> pd.DataFrame:
    if path.suffix not in _READERS:
        raise ValueError(
            f"{path} must be a folder that levylearn generate has written, or end in one of "
            f"{', '.join(_READERS)}."
        )
    frame: pd.DataFrame = _READERS[path.suffix](path)
    return frame
