"""Surfaces on disk: whole or not there, the same however they are written, and read in parts."""

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from sklearn.linear_model import SGDRegressor
from sklearn.pipeline import make_pipeline

from levylearn.datasets import SurfaceDataset, make_surfaces
from levylearn.datasets._recipe import Recipe
from levylearn.market import OptionGrid
from levylearn.pricing import ContourPricer
from tests.datasets._noise import Doubler, Multiplied

parquet = pytest.importorskip("pyarrow.parquet")

ROOT = Path(__file__).parents[2]
GRID = OptionGrid([90, 100, 110], [0.25, 1.0], rate=0.02)
# Shards of two row groups, the last of one and a bit, and noise: what could go wrong does.
SETTINGS = {
    "model": "nig",
    "grid": GRID,
    "n_samples": 10_500,
    "shard_size": 5000,
    "noise": Multiplied(0.01),
    "random_state": 7,
}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    return SurfaceDataset.create(tmp_path_factory.mktemp("surfaces"), **SETTINGS)


@pytest.fixture(scope="module")
def in_memory(dataset):
    return dataset.load()


def hashes(folder):
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in Path(folder).iterdir()
    }


# -- what is written ----------------------------------------------------------


def test_same_as_in_memory(tmp_path):
    arguments = {"feller": True, "output": "forward_price", "distribution": "normal"}
    dataset = SurfaceDataset.create(
        tmp_path / "new" / "folder",
        "heston",
        GRID,
        500,
        shard_size=150,
        random_state=3,
        **arguments,
    )
    X, y = make_surfaces("heston", GRID, 500, random_state=3, **arguments)
    found, params = dataset.load()
    assert_array_equal(params, y)
    assert_allclose(found, X, atol=1e-13)


def test_noise_differs_from_row_to_row(dataset, in_memory):
    X, y = in_memory
    errors = X / ContourPricer("nig", GRID).fit(y).transform(y) - 1
    assert abs(errors.std() / 0.01 - 1) < 0.02
    assert len(np.unique(errors.round(14))) > 0.99 * errors.size


def test_files(dataset):
    names = sorted(path.name for path in dataset.path.iterdir())
    assert names == ["dataset.json", *(f"part-00000{k}.parquet" for k in range(3))]
    rows = [parquet.read_metadata(dataset.path / name).num_rows for name in names[1:]]
    assert rows == [5000, 5000, 500]
    # Any reader of Parquet finds its way.
    frame = pd.read_parquet(dataset.path / names[1])
    assert list(frame.columns) == ["alpha", "beta", "delta", *GRID.get_feature_names_out()]
    footer = json.loads(parquet.read_metadata(dataset.path / names[2]).metadata[b"levylearn"])
    assert footer.pop("first_sample") == 5000
    assert footer == dataset.description


def test_description(dataset):
    assert dataset.description["distributions"] == {
        "alpha": "loguniform(5.0, 30.0)",
        "beta": "uniform(-4.5, 5.5)",
        "delta": "loguniform(0.1, 1.0)",
    }
    assert dataset.description["noise"] == {
        "class": "tests.datasets._noise.Multiplied",
        "params": {"scale": 0.01, "random_state": None},
    }
    assert dataset.description["random_state"] == 7
    assert repr(dataset) == "SurfaceDataset(model='nig', n_samples=10500, n_quotes=6)"


@pytest.mark.parametrize(
    "grid",
    [
        GRID,
        OptionGrid(
            [95, 105],
            [0.1, 0.2, 1],
            98.5,
            [0.01, 0.02, 0.03],
            [0.0, 0.01, 0.0],
            ["put", "call"] * 3,
        ),
        OptionGrid.from_quotes([100, 90, 110.3], [0.3, 0.1, 0.1], rate=[0.02, 0.01, 0.01]),
    ],
    ids=["product", "full", "ragged"],
)
def test_grid_comes_back(tmp_path, grid):
    dataset = SurfaceDataset.create(tmp_path, "black_scholes", grid, 10)
    assert SurfaceDataset(tmp_path).grid == grid
    assert dataset.shape == (10, grid.n_quotes)
    assert dataset.feature_names == list(grid.get_feature_names_out())


@pytest.mark.parametrize("n_quotes", [1, 15, 200, 5000, 10**7])
def test_memory_does_not_grow_with_the_grid(n_quotes):
    pricer = SimpleNamespace(grid=SimpleNamespace(n_quotes=n_quotes))
    size = Recipe(None, pricer, None, 0).block_size
    assert 1 <= size <= 4096
    assert size * n_quotes <= max(2**22, n_quotes)


# -- however it is written ----------------------------------------------------


def test_any_number_of_jobs(dataset, tmp_path):
    SurfaceDataset.create(tmp_path, **SETTINGS, n_jobs=2)
    assert hashes(tmp_path) == hashes(dataset.path)


def test_on_a_cluster(dataset, tmp_path, monkeypatch):
    distributed = pytest.importorskip("distributed")
    cluster = distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
    )
    monkeypatch.chdir(tmp_path)  # after the workers have started elsewhere
    with cluster, distributed.Client(cluster) as client:
        SurfaceDataset.create("surfaces", **SETTINGS, client=client)
    assert hashes(tmp_path / "surfaces") == hashes(dataset.path)


def test_progress(tmp_path, capsys):
    SurfaceDataset.create(tmp_path / "quiet", "nig", GRID, 10)
    assert capsys.readouterr() == ("", "")
    SurfaceDataset.create(tmp_path / "shown", "nig", GRID, 10, shard_size=4, verbose=1)
    out, err = capsys.readouterr()
    assert out == ""
    assert "shown: 100%" in err
    assert "3/3" in err


# -- interrupted --------------------------------------------------------------

KILLED = """
import sys
from levylearn.datasets import SurfaceDataset
from levylearn.market import OptionGrid
from tests.datasets._noise import Multiplied
grid = OptionGrid([90, 100, 110], [0.25, 1.0], rate=0.02)
SurfaceDataset.create(
    sys.argv[1], "nig", grid, 4000, shard_size=50, noise=Multiplied(), n_jobs=int(sys.argv[2])
)
"""


@pytest.mark.skipif(os.name != "posix", reason="there is no SIGKILL")
@pytest.mark.parametrize("n_jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_killed_and_resumed(tmp_path, n_jobs):
    folder = tmp_path / "killed"
    process = subprocess.Popen([sys.executable, "-c", KILLED, folder, str(n_jobs)], cwd=ROOT)
    deadline = time.monotonic() + 60
    while len(list(folder.glob("*.parquet"))) < 5 and time.monotonic() < deadline:
        time.sleep(0.001)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    time.sleep(0.5 * (n_jobs > 1))  # its workers notice, and end
    # What is there is whole; the rest is missing, and reading says so.
    whole = {path: path.stat().st_mtime_ns for path in folder.glob("*.parquet")}
    assert 5 <= len(whole) < 80
    with pytest.raises(ValueError, match=rf"{80 - len(whole)} of 80 files are missing"):
        SurfaceDataset(folder)
    # The same call goes on, and leaves alone what was there.
    SurfaceDataset.create(folder, "nig", GRID, 4000, shard_size=50, noise=Multiplied())
    assert all(path.stat().st_mtime_ns == written for path, written in whole.items())
    other = SurfaceDataset.create(
        tmp_path / "not", "nig", GRID, 4000, shard_size=50, noise=Multiplied()
    )
    assert hashes(folder) == hashes(other.path)  # and no temporary files


def damaged(path):
    """Ways in which a file can be wrong, and the file as it was."""
    whole = path.read_bytes()
    other = path.with_name("part-000000.parquet").read_bytes()
    return whole, {
        "missing": None,
        "empty": b"",
        "cut off": whole[: len(whole) // 2],
        "no footer": whole[:-1],
        "another shard": other,
        "no Parquet": b"surfaces" * 100,
    }


def test_damaged_files_are_written_again(tmp_path):
    arguments = {"model": "nig", "grid": GRID, "n_samples": 400, "shard_size": 100}
    SurfaceDataset.create(tmp_path, **arguments)
    path = tmp_path / "part-000002.parquet"
    whole, ways = damaged(path)
    for way, content in ways.items():
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        (tmp_path / ".part-000001.parquet.abc.tmp").write_bytes(b"left behind")
        SurfaceDataset.create(tmp_path, **arguments)
        assert path.read_bytes() == whole, way
        assert len(list(tmp_path.iterdir())) == 5


def test_failure_leaves_nothing_half_written(tmp_path):
    class Failing(Doubler):
        def transform(self, X):
            if len(X) < 100:
                raise RuntimeError("out of luck")
            return super().transform(X)

    arguments = {"model": "nig", "grid": GRID, "n_samples": 250, "shard_size": 100}
    with pytest.raises(RuntimeError, match="out of luck"):
        SurfaceDataset.create(tmp_path, **arguments, noise=Failing())
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["dataset.json", "part-000000.parquet", "part-000001.parquet"]


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"model": "variance_gamma"}, "model is 'nig' there and 'variance_gamma' here"),
        ({"grid": OptionGrid([90, 100, 110], [0.25, 1.5], rate=0.02)}, "grid maturities"),
        (
            {"grid": OptionGrid([90, 100, 110], [0.25, 1.0], 99.0, 0.02)},
            "spot is 100.0 there and 99",
        ),
        ({"n_samples": 9}, "n_samples is 10500 there and 9 here"),
        ({"random_state": 8}, "random_state is 7 there and 8 here"),
        ({"shard_size": 100}, "shard_size is 5000 there and 100 here"),
        ({"output": "implied_vol"}, "output is 'price' there and 'implied_vol' here"),
        ({"noise": Multiplied(0.02)}, "noise params scale is 0.01 there and 0.02 here"),
        ({"noise": None}, "noise"),
        ({"ranges": {"beta": (-1, 0)}}, r"beta is 'uniform\(-4.5, 5.5\)' there and 'uniform\(-1.0"),
        ({"ranges": {"beta": stats.norm(loc=-1)}}, r"and 'norm\(loc=-1.0\)' here"),
        ({"sampling": "random"}, "sampling is 'sobol' there"),
    ],
)
def test_another_data_set_is_refused(dataset, changed, words):
    before = hashes(dataset.path)
    with pytest.raises(ValueError, match=f"holds another data set: .*{words}"):
        SurfaceDataset.create(dataset.path, **{**SETTINGS, **changed})
    assert hashes(dataset.path) == before


def test_another_version_is_refused(tmp_path, monkeypatch):
    SurfaceDataset.create(tmp_path, "nig", GRID, 10)
    monkeypatch.setattr("levylearn.datasets._metadata.__version__", "99.0")
    with pytest.raises(ValueError, match=r"levylearn is '.*' there and '99.0' here"):
        SurfaceDataset.create(tmp_path, "nig", GRID, 10)


def test_folders_that_are_no_data_sets(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no data set in"):
        SurfaceDataset(tmp_path / "nowhere")
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(ValueError, match="is not empty, and holds no data set"):
        SurfaceDataset.create(tmp_path, "nig", GRID, 10)
    (tmp_path / "dataset.json").write_text("{")
    with pytest.raises(ValueError, match=r"dataset.json' is damaged"):
        SurfaceDataset(tmp_path)


def test_quotes_that_come_twice(tmp_path):
    grid = OptionGrid.from_quotes([100, 100], [0.5, 0.5])
    with pytest.raises(ValueError, match=r"none may come twice; call_T0.5_K100 does"):
        SurfaceDataset.create(tmp_path / "new", "nig", grid, 10)
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"n_samples": 0}, "'n_samples' .* of SurfaceDataset.create"),
        ({"shard_size": 0}, "'shard_size'"),
        ({"random_state": None}, "'random_state'"),
        ({"client": "tcp://host:8786"}, "'client'"),
        ({"path": 3}, "'path'"),
        ({"ranges": {"mu": (0, 1)}}, "no parameter 'mu'"),
    ],
)
def test_bad_arguments(tmp_path, changed, words):
    with pytest.raises(ValueError, match=words):
        SurfaceDataset.create(**{"path": tmp_path / "new", **SETTINGS, **changed})
    assert not (tmp_path / "new").exists()


def test_without_pyarrow(tmp_path, dataset, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    words = r"SurfaceDataset.* requires pyarrow: pip install 'levylearn\[parquet\]'"
    with pytest.raises(ImportError, match=words):
        SurfaceDataset.create(tmp_path / "new", "nig", GRID, 10)
    with pytest.raises(ImportError, match=words):
        dataset[0]


# -- how it is read -----------------------------------------------------------


@pytest.mark.parametrize(
    "index",
    [
        slice(None),
        slice(4090, 5003),
        slice(-5, None),
        slice(10_000, 100, -1001),
        slice(5, 5),
        [0, 10_499, 5000, 4999, 4096, 0],
        np.array([-1, -10_500]),
        np.arange(10_500) % 1000 == 3,
        [],
    ],
    ids=repr,
)
def test_indices(dataset, in_memory, index):
    for found, expected in zip(dataset[index], in_memory, strict=True):
        assert_array_equal(
            found, expected[index if len(np.shape(index)) == 0 or len(index) else []]
        )


@pytest.mark.parametrize("index", [0, -1, np.int64(5000)])
def test_one_sample(dataset, in_memory, index):
    x, y = dataset[index]
    assert_array_equal(x, in_memory[0][index])
    assert_array_equal(y, in_memory[1][index])


@pytest.mark.parametrize("index", [10_500, -10_501, [3, 10_500], 1.5, "a", [[1]], [True, False]])
def test_bad_indices(dataset, index):
    with pytest.raises(IndexError, match="index"):
        dataset[index]


def test_batches(dataset, in_memory):
    batches = list(dataset.iter_batches(999))
    assert [len(X) for X, _ in batches] == [999] * 10 + [510]
    for found, expected in zip(zip(*batches, strict=True), in_memory, strict=True):
        assert_array_equal(np.concatenate(found), expected)


def test_shuffled_batches(dataset, in_memory):
    def order(random_state):
        batches = dataset.iter_batches(1000, shuffle=True, random_state=random_state)
        X, y = (np.concatenate(part) for part in zip(*batches, strict=True))
        rows = np.searchsorted(np.sort(in_memory[1][:, 0]), y[:, 0])
        found = np.argsort(in_memory[1][:, 0])[rows]
        assert_array_equal(X, in_memory[0][found])  # rows keep together
        return found

    first = order(0)
    assert_array_equal(np.sort(first), np.arange(10_500))
    assert_array_equal(first, order(0))
    assert (first != order(1)).mean() > 0.99
    # From one batch to the next there is no trace of the order in the files.
    assert abs(np.corrcoef(first[1:], first[:-1])[0, 1]) < 0.05


def test_columns(dataset, in_memory):
    names = [dataset.feature_names[4], dataset.feature_names[1]]
    X, y = next(dataset.iter_batches(100, columns=names))
    assert_array_equal(X, in_memory[0][:100, [4, 1]])
    assert_array_equal(y, in_memory[1][:100])
    with pytest.raises(ValueError, match="there is no quote 'K100'"):
        dataset.iter_batches(columns=["K100"])
    with pytest.raises(ValueError, match="batch_size must be at least 1; got 0"):
        dataset.iter_batches(0)


def test_frame(dataset, in_memory):
    frame = dataset.to_frame(20)
    assert_array_equal(frame[dataset.feature_names], in_memory[0][:20])
    assert_array_equal(frame[dataset.parameter_names], in_memory[1][:20])


def test_as_torch_asks(dataset, in_memory):
    """A map-style data set: a length, and samples by number or by a list of numbers."""
    assert len(dataset) == 10_500
    for row, (x, y) in zip([5, 8000], dataset.__getitems__([5, 8000]), strict=True):
        assert_array_equal(x, in_memory[0][row])
        assert_array_equal(y, in_memory[1][row])


def test_partial_fit(dataset):
    regressor = SGDRegressor(random_state=0)
    for X, y in dataset.iter_batches(500, shuffle=True, random_state=0):
        regressor.partial_fit(X / 10, y[:, 2])
    X, y = make_surfaces("nig", GRID, 500, random_state=1)
    assert regressor.score(X / 10, y[:, 2]) > 0.5


def test_arrays_are_the_callers(dataset):
    """They can be written to, and do not hold on to larger ones."""
    for X, y in (dataset[:3], next(dataset.iter_batches(3))):
        X[:], y[:] = 0, 0
        assert X.base is None
        assert y.base is None


def test_noise_in_a_pipeline_is_described(tmp_path):
    noise = make_pipeline(Multiplied(0.01), Multiplied(0.03))
    SurfaceDataset.create(tmp_path, "nig", GRID, 10, noise=noise)
    SurfaceDataset.create(tmp_path, "nig", GRID, 10, noise=noise)
    noise[1].scale = 0.04
    with pytest.raises(ValueError, match="noise"):
        SurfaceDataset.create(tmp_path, "nig", GRID, 10, noise=noise)
