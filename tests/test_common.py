"""What every estimator of the package has in common, as scikit-learn defines it."""

import importlib
import inspect
import pickle
import pkgutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from joblib import Parallel, delayed
from sklearn import config_context
from sklearn.base import BaseEstimator, clone
from sklearn.utils import estimator_checks as checks
from sklearn.utils.estimator_checks import parametrize_with_checks

import levylearn
from levylearn.calibration._amortised import AmortisedCalibrator
from levylearn.datasets import make_surfaces
from levylearn.models import get_model
from levylearn.testing import check_calibrator
from levylearn.testing._common import sample_parameters
from tests._estimators import (
    AMORTISED,
    BARE_PRICERS,
    CALIBRATORS,
    CHECKED_ELSEWHERE,
    DETECTORS,
    GREEKS,
    MARKET,
    NOISES,
    ON_MARKETS,
    PARAMETER_TRANSFORMERS,
    PRICERS,
    SMALL_NOISES,
    SURFACE_TRANSFORMERS,
    SURROGATES,
    AnySurface,
    AnyWidth,
    expected_failures,
)

ROOT = Path(__file__).parents[1]
PREPROCESSING = [*PARAMETER_TRANSFORMERS, *SURFACE_TRANSFORMERS, *SMALL_NOISES]


def public_estimators():
    """All estimator classes that some ``__all__`` names."""
    found = set()
    for module in pkgutil.walk_packages(levylearn.__path__, "levylearn."):
        if any(part.startswith("_") for part in module.name.split(".")):
            continue
        package = importlib.import_module(module.name)
        for name in getattr(package, "__all__", []):
            value = getattr(package, name)
            if inspect.isclass(value) and issubclass(value, BaseEstimator):
                found.add(value)
    return {value for value in found if not inspect.isabstract(value)}


def test_no_estimator_is_missing():
    learned = [*CALIBRATORS, *AMORTISED, *DETECTORS]
    every = [*PRICERS, *SURROGATES, *GREEKS, *learned, *PREPROCESSING]
    checked = {type(estimator) for estimator in every}
    assert public_estimators() == checked | set(CHECKED_ELSEWHERE)
    for estimator, file in CHECKED_ELSEWHERE.items():
        text = (ROOT / file).read_text()
        assert "parametrize_with_checks" in text
        assert estimator.__name__ in text


# Taught for ten epochs, a network strays from what it was shown, and says so.
@pytest.mark.filterwarnings("ignore::levylearn.exceptions.ExtrapolationWarning")
@parametrize_with_checks(
    [
        *CALIBRATORS,
        *AMORTISED,
        *DETECTORS,
        *SURROGATES,
        *map(AnyWidth, [*PRICERS, *GREEKS, *PARAMETER_TRANSFORMERS]),
        *map(AnySurface, SURFACE_TRANSFORMERS),
        *SMALL_NOISES,
        *NOISES,
        *BARE_PRICERS,
        *PARAMETER_TRANSFORMERS[:1],
        *SURFACE_TRANSFORMERS,
    ],
    expected_failed_checks=expected_failures,
    xfail_strict=True,
)
def test_scikit_learn(estimator, check):
    check(estimator)


TRANSFORMERS = [
    *SURROGATES,
    *map(AnyWidth, [*PRICERS[2:4], *GREEKS, *PARAMETER_TRANSFORMERS]),
    *map(AnySurface, SURFACE_TRANSFORMERS),
    *SMALL_NOISES,
]
EVERY = [*CALIBRATORS, *AMORTISED, *DETECTORS, *TRANSFORMERS]


def name_of(estimator):
    inner = getattr(estimator, "pricer", None)
    model = getattr(inner or estimator, "model", None)
    what = model or (type(inner).__name__ if inner else getattr(estimator, "method", ""))
    return f"{type(estimator).__name__}-{what}"


ONE_OF_EACH = {type(pricer): pricer for pricer in PRICERS}.values()


@pytest.mark.parametrize(
    "estimator",
    [
        *CALIBRATORS,
        *AMORTISED,
        *DETECTORS,
        *ONE_OF_EACH,
        *SURROGATES,
        *GREEKS[:1],
        *PREPROCESSING,
    ],
    ids=name_of,
)
def test_parameters_are_validated(estimator):
    checks.check_param_validation(type(estimator).__name__, estimator)


@pytest.mark.parametrize("estimator", EVERY, ids=name_of)
def test_column_names_are_consistent(estimator):
    checks.check_dataframe_column_names_consistency(type(estimator).__name__, estimator)


# The checks themselves fit frames and transform arrays.
fits_frames_transforms_arrays = pytest.mark.filterwarnings(
    "ignore:X (does not have valid|has) feature names:UserWarning"
)


@fits_frames_transforms_arrays
@pytest.mark.parametrize(
    "check",
    [
        checks.check_transformer_get_feature_names_out,
        checks.check_transformer_get_feature_names_out_pandas,
        checks.check_get_feature_names_out_error,
        checks.check_set_output_transform,
        checks.check_set_output_transform_pandas,
        checks.check_global_output_transform_pandas,
    ],
    ids=lambda check: check.__name__,
)
@pytest.mark.parametrize("estimator", TRANSFORMERS, ids=name_of)
def test_columns_are_named(estimator, check):
    check(type(estimator).__name__, clone(estimator))


# -- on market-like data -------------------------------------------------------------


def fitted(estimator):
    """An estimator fitted on data that suit it, and what to predict or transform."""
    if isinstance(estimator, AmortisedCalibrator):
        surfaces, params = make_surfaces("heston", MARKET, 60, random_state=5)
        return clone(estimator).fit(surfaces, params), surfaces[:4]
    pricer = clone(getattr(estimator, "pricer", estimator))
    model = get_model(pricer.model)
    params = sample_parameters(model.parameters, model.admissible, 4, random_state=5)
    if not hasattr(estimator, "pricer"):
        return pricer.fit(params), params
    surfaces = pricer.set_output(transform="default").fit(params).transform(params)
    return clone(estimator).fit(surfaces, params), surfaces


def answer(estimator, X):
    return estimator.predict(X) if hasattr(estimator, "predict") else estimator.transform(X)


on_markets = pytest.mark.parametrize("estimator", [*ON_MARKETS, *AMORTISED], ids=name_of)


@on_markets
def test_answers_in_another_process(estimator, tmp_path):
    """Pickled here, unpickled in a fresh interpreter that imports nothing of ours itself."""
    model, X = fitted(estimator)
    (tmp_path / "model.pickle").write_bytes(pickle.dumps((model, X)))
    code = f"""if True:
        import pickle, numpy as np
        with open({str(tmp_path / "model.pickle")!r}, "rb") as file:
            model, X = pickle.load(file)
        method = model.predict if hasattr(model, "predict") else model.transform
        np.save({str(tmp_path / "answer.npy")!r}, method(X))
    """
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, cwd=ROOT
    )
    assert run.returncode == 0, run.stderr
    np.testing.assert_array_equal(np.load(tmp_path / "answer.npy"), answer(model, X))


def test_answers_from_workers():
    """joblib's processes get fitted estimators by pickle."""
    jobs = [fitted(estimator) for estimator in (ON_MARKETS[3], ON_MARKETS[-2])]
    found = Parallel(n_jobs=2, backend="loky")(delayed(answer)(*job) for job in jobs)
    for values, job in zip(found, jobs, strict=True):
        np.testing.assert_allclose(values, answer(*job), rtol=1e-12)


@on_markets
def test_pandas_everywhere(estimator):
    """A user's global setting reaches what transforms, and no pricer within."""
    expected = answer(*fitted(estimator))
    with config_context(transform_output="pandas"):
        found = answer(*fitted(estimator))
    assert isinstance(found, pd.DataFrame) == hasattr(estimator, "transform")
    np.testing.assert_array_equal(np.asarray(found), expected)


@on_markets
def test_clone_and_set_params(estimator):
    copy = clone(estimator)
    assert copy.get_params(deep=False).keys() == estimator.get_params(deep=False).keys()
    assert repr(copy) == repr(estimator)
    assert " at 0x" not in repr(copy)
    if "n_jobs" in copy.get_params():
        copy.set_params(n_jobs=2)
        assert copy.n_jobs == 2
        assert estimator.n_jobs is None
    if "pricer" in copy.get_params():
        copy.set_params(pricer__n_jobs=3)
        assert (copy.pricer.n_jobs, estimator.pricer.n_jobs) == (3, None)


@pytest.mark.parametrize("estimator", ON_MARKETS[len(PRICERS) :], ids=name_of)
def test_calibrators_keep_the_contract(estimator):
    check_calibrator(estimator, tolerance=1e-6)
