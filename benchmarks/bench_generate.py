"""Data sets of surfaces written to Parquet: how fast, how large, in how much memory.

Run as a script; each data set is written to a temporary folder, and deleted::

    python benchmarks/bench_generate.py [--n 100000] [--jobs 2] [--folder FOLDER]

Surfaces per second are of wall-clock time, from an empty folder to a data set that is open, the
start of the processes included; processor time, of all processes, tells how busy the machine was
with other things. Memory is the largest resident size of the process that calls, and of the
largest of those that write.
"""

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from _common import large_grid
from joblib.externals.loky import get_reusable_executor

from levylearn.datasets import SurfaceDataset
from levylearn.market import OptionGrid

# Five strikes by three maturities, as in studies of the Double Heston model.
SMALL_GRID = OptionGrid(np.linspace(90, 110, 5), [0.25, 0.5, 1.0], rate=0.03)
JOBS = {"variance_gamma": large_grid(), "double_heston_jump": SMALL_GRID}


def report(model: str, n_samples: int, n_jobs: int, folder: str | None) -> None:
    """Write one data set, and print what it took."""
    with tempfile.TemporaryDirectory(dir=folder) as path:
        start, before = time.perf_counter(), processor_seconds()
        dataset = SurfaceDataset.create(
            path, model, JOBS[model], n_samples, n_jobs=n_jobs, verbose=1
        )
        seconds = time.perf_counter() - start
        get_reusable_executor().shutdown(wait=True)  # the children's figures come when they end
        megabytes = sum(file.stat().st_size for file in Path(path).iterdir()) / 1e6
    parent, child = (peak(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    workers = n_jobs if n_jobs > 1 else 0
    print(
        f"{dataset.model}: {n_samples} surfaces of {dataset.grid.n_quotes} quotes, "
        f"{n_jobs} jobs: {n_samples / seconds:.0f} surfaces/s "
        f"({1e3 * (processor_seconds() - before) / n_samples:.2f} ms of processor time each), "
        f"{megabytes:.0f} MB; peak memory {parent:.0f} MB here"
        + (
            f", {child:.0f} MB in the largest worker, {parent + workers * child:.0f} MB in all"
            if workers
            else ""
        )
    )


def processor_seconds() -> float:
    """Of this process and of its children that have ended."""
    usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in usage)


def peak(who: int) -> float:
    """Largest resident size, in MB."""
    return resource.getrusage(who).ru_maxrss / 1e3  # Linux counts in kB


def main() -> None:
    """Each model in a process of its own, since a peak never falls."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", choices=JOBS, help="default: all, one after the other")
    parser.add_argument("--n", type=int, default=100_000)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--folder", help="where the temporary folder is")
    arguments = parser.parse_args()
    if arguments.model:
        report(arguments.model, arguments.n, arguments.jobs, arguments.folder)
        return
    for model in JOBS:
        subprocess.run([sys.executable, *sys.argv, "--model", model], check=True)


if __name__ == "__main__":
    main()
