"""``levylearn generate``: surfaces of random parameters, into a folder of Parquet files."""

from __future__ import annotations

import sys
from argparse import Namespace
from typing import Any

from levylearn._commands._arguments import collected
from levylearn._commands._price import grid_of
from levylearn.datasets import SurfaceDataset


def generate(arguments: Namespace) -> dict[str, Any]:
    """Write a data set, or what is missing of it; the result is plain values."""
    dataset = SurfaceDataset.create(
        arguments.out,
        arguments.model,
        grid_of(arguments),
        arguments.n_samples,
        shard_size=arguments.shard_size,
        distribution=arguments.distribution,
        ranges=collected("--ranges", arguments.ranges),
        feller=arguments.feller,
        output=arguments.output_unit,
        random_state=arguments.seed,
        n_jobs=arguments.n_jobs,
        verbose=int(sys.stderr.isatty()),
    )
    files = list(dataset.path.glob("*.parquet"))
    return {
        "path": str(dataset.path),
        "model": dataset.model,
        "n_samples": len(dataset),
        "n_quotes": dataset.grid.n_quotes,
        "unit": dataset.output,
        "parameters": dataset.parameter_names,
        "n_files": len(files),
        "bytes": sum(file.stat().st_size for file in files),
    }
