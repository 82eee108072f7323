"""Neural calibrators: what they learn, keep and refuse."""

import pickle
import pickletools
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import BaseEstimator, TransformerMixin, clone
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from levylearn.calibration import (
    CNNCalibrator,
    MLPCalibrator,
    ResNetCalibrator,
    TransformerCalibrator,
)
from levylearn.calibration._torch.networks import QuoteTransformer, build
from levylearn.calibration._torch.training import Batches, Examples
from levylearn.datasets import make_surfaces
from levylearn.exceptions import CalibrationWarning, ExtrapolationWarning
from levylearn.market import OptionGrid
from levylearn.preprocessing import (
    GaussianNoise,
    ImpliedVolTransformer,
    MissingQuotes,
    SurfaceFeatures,
    quote_tokens,
)
from levylearn.pricing import ContourPricer
from levylearn.testing import check_calibrator

ROOT = Path(__file__).parents[2]
GRID = OptionGrid(strikes=[80, 90, 100, 110, 120], maturities=[0.5, 1.0])
X, Y = make_surfaces("variance_gamma", GRID, n_samples=1200, random_state=0)
TRAIN, TEST = slice(0, 1000), slice(1000, None)

CALIBRATORS = [
    MLPCalibrator(hidden_layer_sizes=(32, 32), learning_rate=5e-3, max_epochs=30, random_state=0),
    ResNetCalibrator(width=32, n_blocks=2, learning_rate=5e-3, max_epochs=30, random_state=0),
    CNNCalibrator(
        surface_shape=GRID.shape, channels=(8, 8), learning_rate=5e-3, max_epochs=30, random_state=0
    ),
    TransformerCalibrator(
        GRID,
        width=16,
        n_queries=4,
        n_layers=1,
        learning_rate=5e-3,
        max_epochs=20,
        random_state=0,
    ),
]
SMALL = MLPCalibrator(hidden_layer_sizes=(16,), learning_rate=0.01, max_epochs=8, random_state=0)
each = pytest.mark.parametrize("calibrator", CALIBRATORS, ids=lambda c: type(c).__name__)


def weights(calibrator):
    return {name: value.numpy() for name, value in calibrator._module.state_dict().items()}


def assert_same_weights(one, other):
    for name, value in weights(one).items():
        np.testing.assert_array_equal(value, weights(other)[name], err_msg=name)


@pytest.fixture(scope="module")
def fitted():
    return {type(c): clone(c).fit(X[TRAIN], Y[TRAIN]) for c in CALIBRATORS}


# -- what they learn -----------------------------------------------------------------


@each
def test_learns_variance_gamma(calibrator, fitted):
    """A small network, a second of training: each parameter's R2 on other surfaces."""
    predicted = fitted[type(calibrator)].predict(X[TEST])
    r2 = 1 - ((predicted - Y[TEST]) ** 2).sum(axis=0) / ((Y[TEST] - Y[TEST].mean(0)) ** 2).sum(0)
    assert (r2 > 0.97).all(), r2


@each
def test_keeps_the_contract(calibrator):
    check_calibrator(calibrator, X[TRAIN], Y[TRAIN], tolerance=1.0)


@each
def test_missing_quotes(calibrator, fitted):
    """Two quotes of ten missing cost accuracy, but not all of it."""
    holes = X[TEST].copy()
    holes[:, [3, 9]] = np.nan
    error = np.abs(fitted[type(calibrator)].predict(holes) - Y[TEST]).mean(axis=0)
    guess = np.abs(Y[TEST].mean(axis=0) - Y[TEST]).mean(axis=0)
    assert (error < 0.35 * guess).all(), error / guess


@each
def test_intervals_cover(calibrator, fitted):
    intervals = fitted[type(calibrator)].predict_interval(X[TEST], coverage=0.9)
    covered = ((intervals[..., 0] <= Y[TEST]) & (Y[TEST] <= intervals[..., 1])).mean(axis=0)
    # 100 examples are held out: quantiles at 0.9 are as good as 0.03.
    assert (covered > 0.8).all(), covered
    assert (covered < 0.99).all(), covered


def test_median_and_mean_of_an_ambiguous_surface():
    """Of a target that is 0 in three cases of four and 1 in one: 0 or a quarter."""
    rng = np.random.default_rng(0)
    A, b = rng.normal(size=(2000, 1)), (rng.random(2000) < 0.25).astype(float)
    options = {"hidden_layer_sizes": (8,), "max_epochs": 40, "random_state": 0}
    mean = MLPCalibrator(**options).fit(A, b).predict(A)
    median = MLPCalibrator(loss="absolute_error", **options).fit(A, b).predict(A)
    assert abs(mean.mean() - 0.25) < 0.05
    assert abs(median.mean()) < 0.05


# -- random numbers ------------------------------------------------------------------


@each
def test_same_seed_same_network(calibrator):
    short = clone(calibrator).set_params(max_epochs=2)
    one, other = (clone(short).fit(X[:200], Y[:200]) for _ in range(2))
    assert_same_weights(one, other)
    third = clone(short).set_params(random_state=1).fit(X[:200], Y[:200])
    assert not np.array_equal(third.predict(X[:200]), one.predict(X[:200]))


def test_the_callers_streams_are_left_alone():
    torch.manual_seed(3)
    np.random.seed(3)  # noqa: NPY002
    before = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    model = clone(SMALL).fit(X[:100], Y[:100])
    pickle.loads(pickle.dumps(model)).predict(X[:100])
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])  # noqa: NPY002


# -- training ------------------------------------------------------------------------


def test_best_weights_are_kept():
    """The last epochs make things worse; the weights are those of the best."""
    A = np.random.default_rng(0).normal(size=(60, 5))
    b = np.random.default_rng(1).normal(size=60)  # nothing to be learned
    model = MLPCalibrator(learning_rate=0.01, max_epochs=60, random_state=0).fit(A, b)
    losses = model.history_["valid_loss"]
    assert model.best_epoch_ == np.argmin(losses)
    assert model.n_epochs_ == min(60, model.best_epoch_ + 1 + model.patience)
    held = model._divide(60, model._draw_seed())[1]
    error = (model.predict(A[held]) - b[held]) / model._unit
    assert (error**2).mean() == pytest.approx(losses.min(), rel=1e-4)


def test_learning_rate_rises_and_falls():
    rates = clone(SMALL).set_params(max_epochs=40).fit(X, Y).history_["learning_rate"]
    assert np.argmax(rates) == 3  # the tenth part
    assert rates.max() == pytest.approx(0.01, rel=0.01)
    assert rates[-1] < 1e-4 * rates.max()


def test_partial_fit_goes_on():
    """Fine-tuning from one range of parameters to another keeps what was learned."""
    low = Y[:, 0] < np.median(Y[:, 0])
    model = clone(CALIBRATORS[0]).partial_fit(X[low], Y[low])
    first = clone(CALIBRATORS[0]).fit(X[low], Y[low])
    assert_same_weights(model, first)
    assert model.training_range_.left_by(model._inputs(X), Y).any()
    model.set_params(learning_rate=1e-3, max_epochs=10).partial_fit(X, Y)
    assert model.history_["valid_loss"][0] < 0.3  # from scratch it is about 1
    assert not model.training_range_.left_by(model._inputs(X), Y).any()
    assert model.score(X, Y) > 0.95


def test_partial_fit_refuses_other_parameters():
    model = clone(SMALL).fit(X[:100], Y[:100])
    with pytest.raises(ValueError, match="y has 2 parameters, but MLPCalibrator has learned 3"):
        model.partial_fit(X[:100], Y[:100, :2])


def test_warm_start():
    model = clone(SMALL).set_params(warm_start=True).fit(X, Y)
    before = model.history_["valid_loss"][-1]
    model.fit(X, Y)
    assert model.history_["valid_loss"][0] < 2 * before
    assert clone(SMALL).fit(X, Y).history_["valid_loss"][0] > 2 * before


class Interrupting(TransformerMixin, BaseEstimator):
    """Leaves surfaces as they are, and is interrupted from the keyboard at some call."""

    calls = 0

    def __init__(self, at=None):
        self.at = at

    def fit(self, X, y=None):
        return self

    def fit_transform(self, X, y=None):
        type(self).calls += 1
        if type(self).calls == self.at:
            raise KeyboardInterrupt
        return X

    def transform(self, X):
        return X


def test_interrupted_training_resumes(tmp_path, monkeypatch):
    """The weights are those of training that was never interrupted, to the last bit."""
    file = tmp_path / "state"
    monkeypatch.setattr(Interrupting, "calls", 0)
    whole = clone(SMALL).set_params(augment=Interrupting()).fit(X, Y)
    model = clone(SMALL).set_params(augment=Interrupting(at=6), checkpoint=file)
    monkeypatch.setattr(Interrupting, "calls", 0)
    with pytest.warns(CalibrationWarning, match="interrupted after 4 of 8 epochs"):
        model.fit(X, Y)
    assert model.n_epochs_ == 4
    assert file.exists()
    monkeypatch.setattr(Interrupting, "calls", 100)
    model.fit(X, Y)
    assert Interrupting.calls < 100 + 2 + 8  # held out, first epoch, and what was left
    assert not file.exists()
    assert_same_weights(model, whole)
    for name, values in whole.history_.items():
        if name != "seconds":
            np.testing.assert_array_equal(model.history_[name], values)


def test_checkpoint_of_another_training_is_not_used(tmp_path, monkeypatch):
    file = tmp_path / "state"
    monkeypatch.setattr(Interrupting, "calls", 0)
    model = clone(SMALL).set_params(augment=Interrupting(at=6), checkpoint=file)
    with pytest.warns(CalibrationWarning, match="interrupted"):
        model.fit(X, Y)
    monkeypatch.setattr(Interrupting, "calls", 100)
    other = clone(model).set_params(learning_rate=0.02).fit(X, Y)
    fresh = clone(other).set_params(checkpoint=None).fit(X, Y)
    assert_same_weights(other, fresh)


def test_diverging_training_is_told():
    A = np.random.default_rng(0).normal(size=(50, 2))
    model = clone(SMALL).set_params(learning_rate=1e30)
    with pytest.raises(ValueError, match=r"no finite loss|any finite loss.*learning_rate"):
        model.fit(A, A)


class Recording(TransformerMixin, BaseEstimator):
    """Adds noise and keeps what it returned."""

    seen: list = []

    def __init__(self, scale=0.01, random_state=None):
        self.scale = scale
        self.random_state = random_state

    def fit(self, X, y=None):
        return self

    def fit_transform(self, X, y=None):
        noise = np.random.default_rng(self.random_state).normal(size=X.shape)
        self.seen.append(X * (1 + self.scale * noise))
        return self.seen[-1]


def test_surfaces_are_disturbed_anew_in_every_epoch(monkeypatch):
    monkeypatch.setattr(Recording, "seen", [])
    clone(SMALL).set_params(augment=Recording()).fit(X, Y)
    held, *epochs = Recording.seen
    assert len(held) == 120
    assert len(epochs) == 8
    for i, one in enumerate(epochs):
        for other in epochs[:i]:
            assert not np.isclose(one, other, rtol=1e-9).any()
    monkeypatch.setattr(Recording, "seen", again := [])
    clone(SMALL).set_params(augment=Recording()).fit(X, Y)
    np.testing.assert_array_equal(again[5], epochs[4])


def test_noise_and_holes_for_training():
    noise = make_pipeline(GaussianNoise(0.01), MissingQuotes(0.1))
    model = clone(CALIBRATORS[0]).set_params(augment=noise).fit(X[TRAIN], Y[TRAIN])
    noisy = clone(noise).set_params(gaussiannoise__random_state=1, missingquotes__random_state=1)
    met = noisy.fit_transform(X[TEST])
    clean = CALIBRATORS[0]
    blind = clone(clean).fit(X[TRAIN], Y[TRAIN])
    with pytest.warns(ExtrapolationWarning):  # what it has not seen
        worse = np.abs(blind.predict(met) - Y[TEST]).mean(axis=0)
    better = np.abs(model.predict(met) - Y[TEST]).mean(axis=0)
    assert (better < 0.8 * worse).all(), (better, worse)


def test_progress(capsys):
    clone(SMALL).set_params(verbose=1).fit(X[:100], Y[:100])
    assert "8/8" in capsys.readouterr().err


def test_batches_hold_every_example_once():
    examples = Examples(np.arange(10.0)[:, None], np.arange(10.0)[:, None], "cpu")
    batches = list(Batches(examples, 4, shuffle=True))
    assert [len(inputs) for inputs, _ in batches] == [4, 4, 2]
    assert sorted(torch.cat([targets for _, targets in batches])[:, 0].tolist()) == list(range(10))


# -- warnings and errors ---------------------------------------------------------------


def test_a_stranger_is_told():
    """Twice the volatility, or a variance rate, that it has ever seen."""
    model = clone(CALIBRATORS[0]).fit(X, Y)
    for params in ([1.5, 0.4, -0.2], [0.3, 4.0, -0.2]):
        surface = ContourPricer("variance_gamma", GRID).fit([params]).transform([params])
        both = np.concatenate([X[:1], surface])
        with pytest.warns(ExtrapolationWarning, match="1 of 2 surfaces.*the first is row 1"):
            model.predict(both)


def test_a_surface_without_quotes():
    model = clone(SMALL).fit(X, Y)
    both = np.concatenate([X[:1], np.full_like(X[:1], np.nan)])
    with pytest.warns(CalibrationWarning, match="1 of 2 surfaces could not be calibrated"):
        predicted = model.predict(both)
    assert np.isnan(predicted).all(axis=1).tolist() == [False, True]


@pytest.mark.parametrize(
    ("calibrator", "words"),
    [
        (CNNCalibrator(surface_shape=(3, 4)), "surface_shape must be .* 10 quotes"),
        (CNNCalibrator(surface_shape=(10,)), "surface_shape must be"),
        (CNNCalibrator(channels=()), "channels must be positive integers"),
        (MLPCalibrator(hidden_layer_sizes=(8, 0)), "hidden_layer_sizes must be positive integers"),
        (TransformerCalibrator(width=10, n_heads=4), "n_heads must divide width"),
        (TransformerCalibrator(OptionGrid([100.0], [1.0])), "grid must have a quote for each"),
        (TransformerCalibrator(GRID, tokens=True), "with tokens=True, grid must be None"),
        (TransformerCalibrator(tokens=True), "three columns for each quote"),
        (MLPCalibrator(augment=SurfaceFeatures(GRID)), "augment must return surfaces like"),
    ],
)
def test_bad_arguments(calibrator, words):
    with pytest.raises(ValueError, match=words):
        calibrator.fit(X[:50], Y[:50])


# -- persistence ---------------------------------------------------------------------


@each
def test_pickles_hold_no_torch(calibrator, fitted):
    data = pickle.dumps(fitted[type(calibrator)])
    modules = {str(arg) for _, arg, _ in pickletools.genops(data) if isinstance(arg, str)}
    assert not any(name.startswith(("torch.", "skorch.")) for name in modules)
    assert len(data) < 150_000
    np.testing.assert_array_equal(
        pickle.loads(data).predict(X[TEST]), fitted[type(calibrator)].predict(X[TEST])
    )


@pytest.mark.parametrize("calibrator", CALIBRATORS[::3], ids=lambda c: type(c).__name__)
def test_answers_in_another_process(calibrator, fitted, tmp_path):
    """Where no graphics card is to be seen, and warnings are errors."""
    model = fitted[type(calibrator)]
    (tmp_path / "model.pickle").write_bytes(pickle.dumps((model, X[TEST])))
    code = f"""if True:
        import pickle, numpy as np
        with open({str(tmp_path / "model.pickle")!r}, "rb") as file:
            model, X = pickle.load(file)
        np.save({str(tmp_path / "answer.npy")!r}, model.predict_interval(X))
    """
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, cwd=ROOT)
    np.testing.assert_array_equal(np.load(tmp_path / "answer.npy"), model.predict_interval(X[TEST]))


@each
def test_skops_round_trip(calibrator, fitted):
    """Nothing but our own classes has to be trusted."""
    skops = pytest.importorskip("skops.io")
    model = fitted[type(calibrator)]
    data = skops.dumps(model)
    untrusted = skops.get_untrusted_types(data=data)
    assert all(name.startswith("levylearn.") for name in untrusted), untrusted
    loaded = skops.loads(data, trusted=untrusted)
    np.testing.assert_array_equal(loaded.predict(X[TEST]), model.predict(X[TEST]))
    np.testing.assert_array_equal(loaded.predict_interval(X[TEST]), model.predict_interval(X[TEST]))


def test_model_card():
    frame = pd.DataFrame(Y, columns=["sigma", "nu", "theta"])
    model = clone(SMALL).fit(X, frame)
    card = model.model_card()
    assert model.parameter_names_ == ("sigma", "nu", "theta")
    assert "# MLPCalibrator" in card
    assert "from 1080 surfaces; 120 more" in card
    assert f"| nu | {Y[:, 1].min():.6g} to {Y[:, 1].max():.6g} |" in card
    assert f"torch {torch.__version__}" in card
    held = model._divide(len(X), model._draw_seed())[1]
    mae = np.abs(model.predict(X[held]) - Y[held]).mean(axis=0)
    np.testing.assert_allclose(model.appraisal_["mean_absolute_error"], mae)


# -- in scikit-learn's company -----------------------------------------------------------


def test_grid_search_over_noise_features_and_network():
    pipeline = make_pipeline(
        GaussianNoise(0.002, random_state=0), ImpliedVolTransformer(GRID), clone(SMALL)
    )
    search = GridSearchCV(
        pipeline,
        {"gaussiannoise__scale": [0.001, 0.01], "mlpcalibrator__learning_rate": [1e-4, 1e-2]},
        cv=2,
        n_jobs=2,
    ).fit(X, Y)
    assert search.best_params_["mlpcalibrator__learning_rate"] == 1e-2
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()


# -- attention -----------------------------------------------------------------------


def transformer(coordinates, **options):
    torch.manual_seed(0)
    spec = {"n_out": 2, "width": 8, "n_heads": 2, "n_queries": 3, "n_layers": 1} | options
    return build("QuoteTransformer", {"coordinates": coordinates, **spec}).double()


def test_quotes_may_come_in_any_order():
    """Values and coordinates in another order are the same surface."""
    rng = np.random.default_rng(0)
    places, values = rng.normal(size=(6, 4)), torch.tensor(rng.normal(size=(5, 6)))
    order = rng.permutation(6)
    expected = transformer(places)(values)
    torch.testing.assert_close(transformer(places[order])(values[:, order]), expected)


def test_tokens_and_table_are_one_network():
    """The same places, once in a table and once brought along."""
    rng = np.random.default_rng(0)
    k, maturity = rng.normal(size=(2, 6))
    values = torch.tensor(rng.normal(size=(5, 6)))
    table = transformer(np.column_stack([k, maturity, k * maturity]))
    tokens = transformer(None)
    tokens.load_state_dict(table.state_dict())
    rows = torch.cat([torch.tensor(np.tile([*k, *maturity], (5, 1))), values], dim=1)
    # The table is kept in single precision.
    torch.testing.assert_close(tokens(rows), table(values), rtol=1e-5, atol=1e-6)


def test_what_is_missing_does_not_matter():
    """Tokens that are NaN are as if there were fewer."""
    rng = np.random.default_rng(0)
    net = transformer(None)
    few = torch.tensor(rng.normal(size=(4, 3, 5)))
    padded = torch.full((4, 3, 9), torch.nan, dtype=torch.float64)
    padded[:, :, [0, 2, 3, 6, 8]] = few
    torch.testing.assert_close(net(padded.flatten(1)), net(few.flatten(1)))


def test_gradients_of_incomplete_rows_are_finite():
    net = transformer(None)
    rows = torch.tensor(np.random.default_rng(0).normal(size=(4, 15)))
    rows[0, [2, 12]] = torch.nan
    net(rows).sum().backward()
    assert all(torch.isfinite(p.grad).all() for p in net.parameters() if p.grad is not None)


def test_surfaces_that_bring_their_own_contracts():
    """Trained on two grids, it answers on a third that lies between them."""
    options = {"n_samples": 1500, "output": "implied_vol"}
    volatility = {}
    for name, strikes, maturities in (
        ("coarse", [80, 95, 110, 125], [0.3, 1.0]),
        ("fine", [85, 90, 100, 105, 115, 120], [0.5, 0.9]),
        ("between", [82, 92, 102, 112, 118], [0.4, 0.95]),
    ):
        grid = OptionGrid(strikes, maturities)
        surfaces, params = make_surfaces("black_scholes", grid, random_state=0, **options)
        volatility[name] = quote_tokens(grid, surfaces, n_tokens=12), params
    A = np.concatenate([volatility["coarse"][0], volatility["fine"][0]])
    b = np.concatenate([volatility["coarse"][1], volatility["fine"][1]])
    model = TransformerCalibrator(
        tokens=True, width=16, n_queries=4, n_layers=1, max_epochs=10, random_state=0
    ).fit(A, b)
    assert model.score(*volatility["between"]) > 0.99


def test_transformer_class_is_named():
    assert isinstance(transformer(None), QuoteTransformer)
