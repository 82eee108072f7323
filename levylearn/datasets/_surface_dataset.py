"""Surfaces on disk, in as many Parquet files as it takes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from numbers import Integral
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_random_state
from tqdm.auto import tqdm

from levylearn.base import BasePricer
from levylearn.datasets._metadata import described, differences, grid_from_plain
from levylearn.datasets._recipe import RECIPE_CONSTRAINTS, Recipe
from levylearn.datasets._shards import Shard, is_whole, remove_unfinished, replaced, write_all
from levylearn.datasets._surfaces import drawn_seed
from levylearn.market import OptionGrid
from levylearn.models import CharacteristicModel
from levylearn.utils._optional import import_optional
from levylearn.utils._sklearn import HasMethods, Interval, validate_params

__all__ = ["SurfaceDataset"]

Floats = NDArray[np.float64]
Samples = tuple[Floats, Floats]

_DESCRIPTION = "dataset.json"
# Rows among which a shuffled batch is drawn are those of so many row groups.
_POOL = 16


class SurfaceDataset:
    """Option surfaces and their parameters in a folder of Parquet files.

    :meth:`create` writes one; this opens it. Nothing is read but the description until rows
    are asked for, and then only the parts of the files that hold them. The set has a length
    and takes indices, so that it serves PyTorch's ``DataLoader`` as it is.

    Parameters
    ----------
    path : str or path-like
        The folder.

    Attributes
    ----------
    path : Path
        The folder.
    description : dict
        All that decides what the surfaces are: model, grid, distributions of the
        parameters, noise, random state, version of levylearn.
    grid : OptionGrid
        The options and their market.
    model : str
        Name of the model.
    output : str
        Unit of the surfaces.
    parameter_names, feature_names : list of str
        Names of the parameters and of the quotes, as the columns of the files.
    shape : tuple of int
        ``(n_samples, n_quotes)``.

    Raises
    ------
    FileNotFoundError
        If there is no data set in the folder.
    ValueError
        If some of its files are missing.

    See Also
    --------
    make_surfaces : The same in memory.

    Examples
    --------
    >>> import tempfile
    >>> from levylearn.datasets import SurfaceDataset
    >>> from levylearn.market import OptionGrid
    >>> grid = OptionGrid(strikes=[90, 100, 110], maturities=[0.5, 1.0])
    >>> folder = tempfile.TemporaryDirectory()
    >>> dataset = SurfaceDataset.create(folder.name, "heston", grid, n_samples=5000)
    >>> dataset
    SurfaceDataset(model='heston', n_samples=5000, n_quotes=6)
    >>> X, y = dataset[:100]
    >>> X.shape, y.shape
    ((100, 6), (100, 5))
    >>> for X, y in dataset.iter_batches(2048):
    ...     print(X.shape)
    (2048, 6)
    (2048, 6)
    (904, 6)
    >>> folder.cleanup()
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)
        self.description = _read_description(self.path)
        self.grid = grid_from_plain(self.description["grid"])
        self.model: str = self.description["model"]
        self.output: str = self.description["output"]
        self.parameter_names = list(self.description["distributions"])
        self.feature_names: list[str] = self.grid.get_feature_names_out().tolist()
        self._shard_size: int = self.description["shard_size"]
        self._group_size = min(self.description["row_group_size"], self._shard_size)
        self._groups_per_shard = -(-self._shard_size // self._group_size)
        self._refuse_if_incomplete()

    @classmethod
    @validate_params(
        {
            **RECIPE_CONSTRAINTS,
            "path": [str, PathLike],
            "n_samples": [Interval(Integral, 1, None, closed="left")],
            "shard_size": [Interval(Integral, 1, None, closed="left")],
            "random_state": [Interval(Integral, 0, 2**32 - 1, closed="both")],
            "n_jobs": [Integral, None],
            "client": [HasMethods(["submit", "cancel", "nthreads"]), None],
            "verbose": ["verbose"],
        },
        prefer_skip_nested_validation=True,
    )
    def create(
        cls,
        path: str | PathLike[str],
        model: str | CharacteristicModel,
        grid: OptionGrid,
        n_samples: int,
        *,
        shard_size: int = 16_384,
        distribution: str = "market",
        ranges: Mapping[str, Any] | None = None,
        sampling: str = "sobol",
        feller: bool = False,
        noise: Any = None,
        output: str = "price",
        pricer: BasePricer | None = None,
        random_state: int = 0,
        n_jobs: int | None = None,
        client: Any = None,
        verbose: int = 0,
    ) -> SurfaceDataset:
        """Write a data set, or what is still missing of it, and open it.

        The files depend on what is to be in them and on nothing else: not on the number of
        jobs, nor on how often the writing was interrupted. A file appears under its name
        only when it is complete. So a process that is killed loses the files it was
        writing; the same call goes on from there. It reads the footers of those that are
        there, and writes again what is cut off or of another data set. One process at a
        time may write into a folder.

        Parameters
        ----------
        path : str or path-like
            The folder; made if it is not there. All workers must see it.
        model : str or CharacteristicModel
            Name of a registered model, or a model.
        grid : OptionGrid
            The options and their market.
        n_samples : int
            Number of surfaces.
        shard_size : int, default=16384
            Surfaces in a file. Memory does not grow with it.
        distribution : {"market", "prior", "calm", "normal", "stressed"}, default="market"
            As for :func:`make_surfaces`, as are the next six.
        ranges : dict, default=None
            What single parameters are drawn from instead.
        sampling : {"sobol", "random"}, default="sobol"
            Points of a scrambled Sobol sequence, or independent points.
        feller : bool, default=False
            Whether the Feller condition is demanded of the parameters.
        noise : transformer, default=None
            Applied to the surfaces, a row group at a time.
        output : {"price", "forward_price", "implied_vol"}, default="price"
            Unit of the surfaces.
        pricer : BasePricer, default=None
            Who prices.
        random_state : int, default=0
            Decides everything. With the same number :func:`make_surfaces` makes the same
            parameters, and the same surfaces to rounding.
        n_jobs : int or None, default=None
            Processes that write; -1 means all processors.
        client : distributed.Client, default=None
            Cluster to write on, instead of `n_jobs`.
        verbose : int, default=0
            Whether to show a progress bar.

        Returns
        -------
        dataset : SurfaceDataset
            Ready to be read.

        Raises
        ------
        ValueError
            If an argument is not as described, or the folder holds something else; of
            another data set the message names the differences.
        ImportError
            If pyarrow is not installed.
        """
        import_optional("pyarrow", "SurfaceDataset.create")
        recipe = Recipe.build(
            model,
            grid,
            drawn_seed(random_state),
            distribution=distribution,
            ranges=ranges,
            sampling=sampling,
            feller=feller,
            noise=noise,
            output=output,
            pricer=pricer,
        )
        description = {
            **described(recipe),
            "random_state": int(random_state),
            "n_samples": int(n_samples),
            "shard_size": int(shard_size),
            "row_group_size": recipe.block_size,
        }
        folder = Path(path)
        _refuse_duplicates(grid)
        _prepare(folder, description)
        shards = _shards(folder, description, recipe)
        n_shards = -(-n_samples // shard_size)
        with tqdm(total=n_shards, unit="shard", disable=not verbose, desc=folder.name) as bar:

            def missing() -> Iterator[Shard]:
                for shard in shards:
                    if is_whole(shard):
                        bar.update()
                    else:
                        yield shard

            for _ in write_all(recipe, missing(), n_jobs, client):
                bar.update()
        return cls(folder)

    @property
    def shape(self) -> tuple[int, int]:
        """``(n_samples, n_quotes)``."""
        return len(self), self.grid.n_quotes

    def __len__(self) -> int:
        return int(self.description["n_samples"])

    def __getitem__(self, index: Any) -> Samples:
        """Surfaces and parameters of some samples; of one, without its dimension."""
        if isinstance(index, Integral):
            X, y = self._take(_checked([int(index)], len(self)))
            return X[0], y[0]
        if isinstance(index, slice):
            return self._take(np.arange(*index.indices(len(self))))
        return self._take(_checked(index, len(self)))

    def __getitems__(self, indices: Sequence[int]) -> list[Samples]:
        """As PyTorch asks for the samples of a batch."""
        return list(zip(*self[indices], strict=True))

    def load(self, n_samples: int | None = None) -> Samples:
        """Read the first samples, or all, into memory.

        Parameters
        ----------
        n_samples : int, default=None
            How many; None means all.

        Returns
        -------
        X : ndarray of shape (n_samples, n_quotes)
            Surfaces.
        y : ndarray of shape (n_samples, n_params)
            Parameters.
        """
        return self[:n_samples]

    def to_frame(self, n_samples: int | None = None) -> pd.DataFrame:
        """Read the first samples, or all, into a data frame.

        Parameters
        ----------
        n_samples : int, default=None
            How many; None means all.

        Returns
        -------
        frame : DataFrame
            Parameters, then quotes, as in the files.
        """
        X, y = self.load(n_samples)
        return pd.DataFrame(
            np.column_stack([y, X]), columns=[*self.parameter_names, *self.feature_names]
        )

    def iter_batches(
        self,
        batch_size: int = 1024,
        *,
        shuffle: bool = False,
        random_state: Any = None,
        columns: Sequence[str] | None = None,
    ) -> Iterator[Samples]:
        """Read through the set, a batch at a time, in bounded memory.

        Parameters
        ----------
        batch_size : int, default=1024
            Samples in a batch; the last may have fewer.
        shuffle : bool, default=False
            Whether to change the order. Row groups are read in random order, and rows
            shuffled among those of 16 of them.
        random_state : int, RandomState instance or None, default=None
            Of the shuffling.
        columns : sequence of str, default=None
            Names of the quotes to read; None means all.

        Returns
        -------
        batches : iterator of (X, y)
            Surfaces, of shape (batch_size, n_quotes), and parameters, of shape
            (batch_size, n_params).

        Raises
        ------
        ValueError
            If `batch_size` is not positive, or a name is not in `feature_names`.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1; got {batch_size!r}.")
        columns = self._checked_names(columns)
        return self._batches(batch_size, check_random_state(random_state), shuffle, columns)

    def _batches(
        self, batch_size: int, rng: np.random.RandomState, shuffle: bool, columns: list[str]
    ) -> Iterator[Samples]:
        groups = np.arange(self._n_groups)
        if shuffle:
            rng.shuffle(groups)
        pool = _POOL if shuffle else 1
        rest = np.empty((0, len(self.parameter_names) + len(columns)))
        for start in range(0, len(groups), pool):
            parts = [self._read(group, columns) for group in groups[start : start + pool]]
            rows = np.concatenate([rest, *parts])
            if shuffle:
                rng.shuffle(rows)
            whole = len(rows) - len(rows) % batch_size
            for first in range(0, whole, batch_size):
                yield self._split(rows[first : first + batch_size])
            rest = rows[whole:]
        if len(rest):
            yield self._split(rest)

    def _split(self, rows: Floats) -> Samples:
        p = len(self.parameter_names)
        return rows[:, p:].copy(), rows[:, :p].copy()

    def _take(self, indices: NDArray[np.intp]) -> Samples:
        """Read samples in any order, each row group once."""
        p = len(self.parameter_names)
        X, y = np.empty((len(indices), self.grid.n_quotes)), np.empty((len(indices), p))
        shard, row = np.divmod(indices, self._shard_size)
        group = shard * self._groups_per_shard + row // self._group_size
        order = np.argsort(group, kind="stable")
        groups, starts = np.unique(group[order], return_index=True)
        # Split at no point there would be one part of nothing.
        parts = np.split(order, starts[1:]) if len(groups) else []
        for one, wanted in zip(groups, parts, strict=True):
            rows = self._read(one, self.feature_names)[row[wanted] % self._group_size]
            X[wanted], y[wanted] = rows[:, p:], rows[:, :p]
        return X, y

    def _read(self, group: int, columns: list[str]) -> Floats:
        """Parameters and quotes of a row group; these are numbered through all shards."""
        parquet = import_optional("pyarrow.parquet", type(self).__name__)
        shard, group = divmod(int(group), self._groups_per_shard)
        names = [*self.parameter_names, *columns]
        with parquet.ParquetFile(self._path_of(shard), memory_map=True) as file:
            table = file.read_row_group(group, columns=names, use_threads=False)
        rows = np.empty((table.num_rows, len(names)))
        for j, name in enumerate(names):
            rows[:, j] = table[name].to_numpy()
        return rows

    @property
    def _n_groups(self) -> int:
        whole, rest = divmod(len(self), self._shard_size)
        return whole * self._groups_per_shard + -(-rest // self._group_size)

    def _path_of(self, shard: int) -> Path:
        return _path_of(self.path, shard)

    def _checked_names(self, names: Sequence[str] | None) -> list[str]:
        if names is None:
            return self.feature_names
        unknown = [name for name in names if name not in self.feature_names]
        if unknown:
            raise ValueError(
                f"columns: there is no quote {unknown[0]!r}; the data set has "
                f"{self.feature_names[0]!r} to {self.feature_names[-1]!r}."
            )
        return list(names)

    def _refuse_if_incomplete(self) -> None:
        present = {path.name for path in self.path.iterdir()}
        n_shards = -(-len(self) // self._shard_size)
        names = [self._path_of(shard).name for shard in range(n_shards)]
        missing = [name for name in names if name not in present]
        if missing:
            raise ValueError(
                f"{fspath(self.path)!r} is not complete: {len(missing)} of {n_shards} files are "
                f"missing, the first {missing[0]!r}. The call of SurfaceDataset.create that "
                f"began it will finish it."
            )

    def __repr__(self) -> str:
        n_samples, n_quotes = self.shape
        return f"SurfaceDataset(model={self.model!r}, n_samples={n_samples}, n_quotes={n_quotes})"


def _path_of(folder: Path, shard: int) -> Path:
    return folder / f"part-{shard:06d}.parquet"


def _shards(folder: Path, description: dict[str, Any], recipe: Recipe) -> Iterator[Shard]:
    """The files of the data set, in order; workers may run in another directory."""
    n_samples, size = description["n_samples"], description["shard_size"]
    starts = range(0, n_samples, size)
    for number, (first, point) in enumerate(zip(starts, recipe.sampler.points(size), strict=False)):
        path = _path_of(folder.absolute(), number)
        yield Shard(path, first, min(size, n_samples - first), point, description)


def _prepare(folder: Path, description: dict[str, Any]) -> None:
    """Make the folder this data set's, or find that it is; refuse it if it is another's."""
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / _DESCRIPTION).exists():
        found = differences(_read_description(folder), description)
        if found:
            raise ValueError(
                f"{fspath(folder)!r} holds another data set: {', '.join(found)}. Choose another "
                f"folder, or delete this one."
            )
        remove_unfinished(folder)
        return
    remove_unfinished(folder)
    if any(folder.iterdir()):
        raise ValueError(f"{fspath(folder)!r} is not empty, and holds no data set.")
    with replaced(folder / _DESCRIPTION) as file:
        file.write(json.dumps(description, indent=1).encode())


def _read_description(folder: Path) -> dict[str, Any]:
    path = folder / _DESCRIPTION
    try:
        description: dict[str, Any] = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise FileNotFoundError(
            f"there is no data set in {fspath(folder)!r}: it has no {_DESCRIPTION}."
        ) from None
    except json.JSONDecodeError as error:
        raise ValueError(f"{fspath(path)!r} is damaged: {error}.") from error
    return description


def _refuse_duplicates(grid: OptionGrid) -> None:
    names, counts = np.unique(grid.get_feature_names_out().astype(str), return_counts=True)
    if (counts > 1).any():
        raise ValueError(
            f"grid: quotes name the columns of the files, so none may come twice; "
            f"{names[counts > 1][0]} does."
        )


def _checked(indices: ArrayLike, n_samples: int) -> NDArray[np.intp]:
    """Non-negative indices, from those that NumPy would take."""
    array = np.asarray(indices)
    if array.dtype == bool and array.shape == (n_samples,):
        return np.flatnonzero(array)
    if array.ndim != 1 or not (array.size == 0 or np.issubdtype(array.dtype, np.integer)):
        raise IndexError(
            f"index must be an integer, a slice, a 1-D array of integers, or one of {n_samples} "
            f"booleans; got {indices!r}."
        )
    array = array.astype(np.intp)
    bad = array[(array < -n_samples) | (array >= n_samples)]
    if bad.size:
        raise IndexError(f"index {bad[0]} is out of range for {n_samples} samples.")
    return np.where(array < 0, array + n_samples, array)
