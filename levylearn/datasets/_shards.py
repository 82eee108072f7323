"""Shards of a data set: Parquet files, each made by one function, whole or not there."""

from __future__ import annotations

import contextlib
import json
import os
import uuid
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed

from levylearn.datasets._recipe import Recipe
from levylearn.utils._optional import import_optional

__all__ = ["Shard", "is_whole", "remove_unfinished", "replaced", "write_all"]

# Where a footer holds what the data set is.
_KEY = b"levylearn"
_UNFINISHED = ".tmp"
# Shards that wait for each thread of a cluster.
_WAITING = 2


class Shard(NamedTuple):
    """One file of a data set, and which samples it holds."""

    path: Path
    first: int
    n_samples: int
    point: int  # of the sampler's sequence, where its samples begin
    description: dict[str, Any]

    @property
    def footer(self) -> bytes:
        """What the file says about itself."""
        return json.dumps({**self.description, "first_sample": self.first}).encode()


def write_all(recipe: Recipe, shards: Iterator[Shard], n_jobs: int | None, client: Any) -> Any:
    """Write shards here, in processes, or on a cluster; yield once for each."""
    if client is not None:
        return _on_cluster(client, recipe, shards)
    # Calls are made as jobs become free, so `shards` may be long.
    jobs = Parallel(n_jobs=n_jobs, return_as="generator_unordered")
    return jobs(delayed(write)(recipe, shard) for shard in shards)


def _on_cluster(client: Any, recipe: Recipe, shards: Iterator[Shard]) -> Iterator[None]:
    distributed = import_optional("distributed", "SurfaceDataset.create")

    def submit(shard: Shard) -> Any:
        return client.submit(write, recipe, shard, pure=False)

    n_threads = max(sum(client.nthreads().values()), 1)
    running = distributed.as_completed([submit(s) for s in islice(shards, _WAITING * n_threads)])
    try:
        for future in running:
            yield future.result()
            for shard in islice(shards, 1):
                running.add(submit(shard))
    finally:
        client.cancel(list(running.futures))


def write(recipe: Recipe, shard: Shard) -> None:
    """Write a shard; what is in it depends on the arguments alone."""
    pa = import_optional("pyarrow", "SurfaceDataset.create")
    parquet = import_optional("pyarrow.parquet", "SurfaceDataset.create")
    parameters = list(recipe.sampler.model.parameter_names)
    names = [*parameters, *recipe.pricer.grid.get_feature_names_out()]
    schema = pa.schema([(name, pa.float64()) for name in names], metadata={_KEY: shard.footer})
    options = {
        # Prices hardly compress: of Variance Gamma's the best codec saves 13 %.
        "compression": "none",
        "use_dictionary": False,
        "write_statistics": parameters,
        "write_page_checksum": True,
    }
    with replaced(shard.path) as file, parquet.ParquetWriter(file, schema, **options) as writer:
        for surfaces, params in recipe.blocks(shard.n_samples, shard.first, shard.point):
            rows = np.column_stack([params, surfaces]).T.copy()
            writer.write_table(pa.table(list(rows), schema=schema), row_group_size=len(params))


def is_whole(shard: Shard) -> bool:
    """Whether the file is there, to its end, and is this shard."""
    pa = import_optional("pyarrow", "SurfaceDataset.create")
    parquet = import_optional("pyarrow.parquet", "SurfaceDataset.create")
    try:
        found = parquet.read_metadata(shard.path)
    except (OSError, pa.ArrowInvalid):
        return False
    return found.num_rows == shard.n_samples and (found.metadata or {}).get(_KEY) == shard.footer


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[Any]:
    """Open a file that takes its name, and any older file's place, once it is on the disk."""
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}{_UNFINISHED}")
    try:
        with open(unfinished, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    if os.name == "posix":  # the name, too, survives a loss of power
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def remove_unfinished(folder: Path) -> None:
    """Remove what a process that was killed has left behind."""
    for path in folder.glob(f".*{_UNFINISHED}"):
        path.unlink(missing_ok=True)
