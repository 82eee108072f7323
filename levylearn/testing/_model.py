"""The contract of a model, as tests."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.stats

from levylearn.models import CharacteristicModel, LevyModel, SumModel
from levylearn.models._base import _cauchy_cumulants
from levylearn.models._differences import derivatives, slope_at
from levylearn.testing._common import Contract, Floats, is_stable_repr, sample_parameters

__all__ = ["check_model"]

_N_SAMPLES = 6
_MATURITIES = (1 / 365, 0.5, 5.0)
# The lines that prices are integrated along: 0.5 sinh(y + iw) - i/2. Steeper ones are for
# models that bear them; all must bear these.
_ANGLES = (-0.6, -0.3, 0.0, 0.3, 0.6)
_LINE = np.linspace(0.05, 7.0, 16)


class _ModelContract(Contract):
    def __init__(self, model: CharacteristicModel, random_state: Any) -> None:
        super().__init__("check_model", model)
        self.model = model
        self._random_state = random_state
        self._params: Floats | None = None

    @property
    def params(self) -> Floats:
        """A fresh copy; drawn by the first rule that needs it."""
        if self._params is None:
            self._params = sample_parameters(
                self.model.parameters, self.model.admissible, _N_SAMPLES, self._random_state
            )
        return self._params.copy()


def check_model(model: CharacteristicModel, *, random_state: Any = 0) -> None:
    """Check that a model keeps the contract that pricers and calibrators rely on.

    Checked, on parameter sets drawn over the market ranges: the metadata of the
    parameters; shapes and dtypes; that rows do not depend on each other; that the
    log characteristic function vanishes at 0 and, as the forward is a martingale,
    at -i; that it belongs to a real random variable; that it is analytic and
    without jumps on the bent lines prices are integrated along; gradient and
    cumulants against it, and the Lévy density against the cumulants, if there is one;
    refusal of bad parameters; copies, pickles and the repr.

    Parameters
    ----------
    model : CharacteristicModel
        An instance.
    random_state : int, RandomState instance or None, default=0
        For the draw of parameter sets.

    Raises
    ------
    AssertionError
        If a rule is broken; the message says which, and by what numbers.

    See Also
    --------
    check_pricer : The same for pricers.
    check_calibrator : The same for calibrators.

    Examples
    --------
    >>> from levylearn.models import Heston
    >>> from levylearn.testing import check_model
    >>> check_model(Heston())
    """
    if not isinstance(model, CharacteristicModel):
        raise TypeError(f"model must be an instance of CharacteristicModel; got {model!r}.")
    with np.errstate(all="ignore"):
        _ModelContract(model, random_state).run(_RULES)


# -- rules ---------------------------------------------------------------------------


def _has_name(case: _ModelContract) -> None:
    """A model has a name, and parameters with names of their own."""
    name, names = getattr(case.model, "name", None), case.model.parameter_names
    case.require(isinstance(name, str) and name != "", f"name is {name!r}.")
    case.require(len(names) > 0, "There are no parameters.")
    case.require(len(set(names)) == len(names), f"parameter_names are {names}.")
    for text in names:
        case.require(text.isidentifier(), f"{text!r} cannot be a column or keyword.")


def _ranges_are_nested(case: _ModelContract) -> None:
    """Market ranges lie within calibration ranges, and these within the domain."""
    for parameter in case.model.parameters:
        (low, high), box = parameter.market_range, parameter.bounds
        text = f"{parameter.name} has market_range ({low}, {high}) and calibration_range {box}"
        case.require(np.all(np.isfinite([low, high, *box])), f"{text}: not finite.")
        case.require(low < high, f"{text}: empty.")
        case.require(box[0] <= low and high <= box[1], f"{text}: not nested.")
        inside = parameter.contains(np.array([*box, low, high])).all()
        case.require(inside, f"{text}, beyond the domain {parameter.domain_text}.")
        case.require(parameter.scale != "log" or box[0] > 0, f"{text}: no logarithm.")


def _priors_exist(case: _ModelContract) -> None:
    """A prior is a distribution of scipy.stats with its keywords."""
    for parameter in case.model.parameters:
        if parameter.prior is not None:
            name, keywords = parameter.prior
            density = getattr(scipy.stats, name)(**keywords).pdf(np.mean(parameter.market_range))
            case.require(np.isfinite(density), f"That of {parameter.name} is {name}, {keywords}.")


def _market_is_admissible(case: _ModelContract) -> None:
    """Parameter sets from the market ranges are admissible."""
    params = case.params  # draws until enough are
    case.require(case.model.admissible(params).all(), "Their joint constraint is not stable.")
    case.model.validate(params)


def _shapes(case: _ModelContract) -> None:
    """Results have the documented shapes and dtypes."""
    model, params = case.model, case.params
    for n, m in ((1, 1), (1, 5), (3, 1), (3, 5)):
        u = np.linspace(0.1, 2.0, m) - 0.5j
        p = model.n_params
        case.require_shape("log_cf", model.log_cf(u, 0.5, params[:n]), (n, m), "c")
        gradient = model.log_cf_gradient(u, 0.5, params[:n])
        case.require_shape("log_cf_gradient", gradient, (n, p, m), "c")
        case.require_shape("cumulants", model.cumulants(0.5, params[:n]), (n, 4), "f")
        case.require_shape("admissible", model.admissible(params[:n]) + 0.0, (n,), "f")


def _arguments_are_left_alone(case: _ModelContract) -> None:
    """Arguments are not written to."""
    u, params = _line(0.3), case.params
    u.flags.writeable = params.flags.writeable = False
    case.model.log_cf(u, 0.5, params)
    case.model.log_cf_gradient(u, 0.5, params)
    case.model.cumulants(0.5, params)


def _rows_are_independent(case: _ModelContract) -> None:
    """The row of a batch is what it is alone."""
    model, u, params = case.model, _line(0.3), case.params
    functions = {
        "log_cf": lambda rows: model.log_cf(u, 0.5, rows),
        "log_cf_gradient": lambda rows: model.log_cf_gradient(u, 0.5, rows),
        "cumulants": lambda rows: model.cumulants(0.5, rows),
    }
    for name, function in functions.items():
        alone = np.concatenate([function(params[i : i + 1]) for i in range(len(params))])
        size = np.abs(alone).max(axis=-1, keepdims=True)
        case.require_close(name, function(params), alone, 1e-12 * size)


def _sets_have_arguments_of_their_own(case: _ModelContract) -> None:
    """Every parameter set may have its own arguments and its own maturity."""
    model, params = case.model, case.params
    u = np.linspace(0.5, 1.0, len(params))[:, None] * _line(0.3)
    times = np.linspace(0.1, 2.0, len(params))[:, None]
    for name in ("log_cf", "log_cf_gradient"):
        function = getattr(model, name)
        alone = np.concatenate(
            [function(u[i], times[i, 0], params[i : i + 1]) for i in range(len(params))]
        )
        found = function(u, times, params)
        case.require_shape(name, found, alone.shape, "c")
        size = np.abs(alone).max(axis=-1, keepdims=True)
        case.require_close(name, found, alone, 1e-11 * size)


def _kernel_agrees(case: _ModelContract) -> None:
    """The kernel gives log_cf and log_cf_gradient of every maturity."""
    model, u, params = case.model, _line(0.3), case.params
    values, slopes = model.kernel(u, params, gradient=True)(np.reshape(_MATURITIES, (-1, 1, 1)))
    case.require(len(slopes) == model.n_params, f"It returns {len(slopes)} derivatives.")
    for t, maturity in enumerate(_MATURITIES):
        expected = model.log_cf(u, maturity, params)
        case.require_close(f"value at {maturity:g}", values[t], expected, _size(expected, 1e-11))
        gradient = model.log_cf_gradient(u, maturity, params)
        for j, name in enumerate(model.parameter_names):
            slope = np.broadcast_to(slopes[j], values.shape)[t]
            tolerance = _size(gradient[:, j], 1e-11)
            case.require_close(f"d {name} at {maturity:g}", slope, gradient[:, j], tolerance)


def _is_normalised(case: _ModelContract) -> None:
    """Probabilities sum to one: log_cf(0) is 0."""
    for maturity in _MATURITIES:
        value = case.model.log_cf(np.array([0j]), maturity, case.params)
        case.require_close(f"log_cf(0) at maturity {maturity:g}", value, 0 * value, 1e-12)


def _is_martingale(case: _ModelContract) -> None:
    """The forward is a martingale: log_cf(-i) is 0."""
    for maturity in _MATURITIES:
        value = case.model.log_cf(np.array([-1j]), maturity, case.params)
        size = 1 + np.abs(case.model.log_cf(np.array([1.0 + 0j]), maturity, case.params))
        case.require_close(f"log_cf(-i) at maturity {maturity:g}", value, 0 * value, 1e-11 * size)


def _is_real(case: _ModelContract) -> None:
    """The return is real: log_cf(-conj(u)) is the conjugate of log_cf(u)."""
    for angle in _ANGLES:
        u = _line(angle)
        value = case.model.log_cf(u, 0.5, case.params)
        mirrored = case.model.log_cf(-u.conj(), 0.5, case.params)
        # exp(log_cf) is what counts: an imaginary part may differ by turns of 2 pi.
        turns = 2j * np.pi * np.round((mirrored - value.conj()).imag / (2 * np.pi))
        case.require_close("log_cf(-conj(u))", mirrored - turns, value.conj(), _size(value, 1e-9))


def _is_bounded(case: _ModelContract) -> None:
    """No characteristic function exceeds 1 on the real axis."""
    for maturity in _MATURITIES:
        size = case.model.log_cf(np.sinh(_LINE) + 0j, maturity, case.params).real
        row, i = np.unravel_index(np.argmax(size), size.shape)
        case.require(
            size.max() <= 1e-12,
            f"At maturity {maturity:g}, row {row} and u={np.sinh(_LINE)[i]:g} the real part of "
            f"log_cf is {size.max():g}.",
        )


def _is_usable_on_lines(case: _ModelContract) -> None:
    """On bent lines log_cf is finite, or its real part is -inf."""
    y = np.linspace(0.0, 30.0, 61)
    for maturity in _MATURITIES:
        for angle in _ANGLES:
            value = case.model.log_cf(_line(angle, y), maturity, case.params)
            good = np.isfinite(value) | (value.real == -np.inf)
            if not good.all():
                row, i = np.argwhere(~good)[0]
                case.fail(
                    f"At maturity {maturity:g}, row {row} ({_text(case, row)}) and "
                    f"u={_line(angle, y)[i]:.6g} it is {value[row, i]}."
                )


def _is_analytic(case: _ModelContract) -> None:
    """log_cf is analytic off the imaginary axis: its integrals over circles vanish."""
    circle = np.exp(2j * np.pi * np.arange(16) / 16)
    for maturity in _MATURITIES:
        for angle in _ANGLES:
            centre = _line(angle)
            u = centre[:, None] + np.minimum(0.1 * centre.real, 1.0)[:, None] * circle
            value = case.model.log_cf(u.ravel(), maturity, case.params)
            value = value.reshape(len(value), *u.shape)
            integral = np.abs((value * circle).mean(axis=2))
            # An analytic function varies on the circle by far more than by its 15th order.
            size = np.abs(value - value.mean(axis=2, keepdims=True)).max(axis=2)
            noise = 1e-13 * np.abs(value).max(axis=2)
            bad = ~(integral <= 1e-5 * size + noise) & np.isfinite(value).all(axis=2)
            if bad.any():
                row, i = np.argwhere(bad)[0]
                case.fail(
                    f"At maturity {maturity:g}, row {row} ({_text(case, row)}), around "
                    f"u={centre[i]:.6g}, the integral is {integral[row, i] / size[row, i]:.2g} of "
                    "the variation. A conjugate, a modulus or a branch cut does that."
                )


def _is_continuous(case: _ModelContract) -> None:
    """log_cf does not jump on the lines that prices are integrated along."""
    for maturity in _MATURITIES:
        for angle in _ANGLES:
            for row, params in enumerate(case.params[:2]):
                u, jump = _greatest_jump(case.model, maturity, params, angle)
                case.require(
                    jump < 1e-3,
                    f"At maturity {maturity:g}, row {row} ({_text(case, row)}), it jumps by "
                    f"{jump:.6g} at u={u:.6g}: a logarithm or a root left its principal branch.",
                )


def _gradient_agrees(case: _ModelContract) -> None:
    """log_cf_gradient is the derivative of log_cf."""
    model, params = case.model, case.params
    # Not far out: differences fail where log_cf oscillates with a parameter.
    u = np.concatenate([_line(angle, np.linspace(0.1, 4.0, 5)) for angle in _ANGLES])
    for maturity in _MATURITIES:

        def function(moved: Floats, maturity: float = maturity) -> Any:
            return model.log_cf(u, maturity, moved)

        found = model.log_cf_gradient(u, maturity, params)
        expected = derivatives(function, params, model.parameters)
        value = np.abs(function(params))[:, None]
        reach = np.maximum(np.abs(params), 1e-3)[:, :, None]
        tolerance = 1e-5 * np.abs(expected) + 1e-9 * value / reach + 1e-12
        case.require_close(
            f"At maturity {maturity:g}, gradient[row, parameter, u]", found, expected, tolerance
        )


def _rate_agrees(case: _ModelContract) -> None:
    """log_cf_rate is the derivative of log_cf by maturity."""
    model, params = case.model, case.params
    u = np.concatenate([_line(angle, np.linspace(0.1, 4.0, 5)) for angle in _ANGLES])
    for maturity in _MATURITIES:
        value = model.log_cf(u, maturity, params)
        expected = slope_at(lambda T: model.log_cf(u, T, params), maturity)
        tolerance = 1e-8 * np.abs(expected) + 1e-11 * np.abs(value) / maturity + 1e-12
        for time in (maturity, np.full((len(params), 1), maturity)):
            found = model.log_cf_rate(u, time, params)
            text = f"At maturity {time!r}, log_cf_rate"
            case.require_shape(text, found, value.shape, "c")
            case.require_close(text, found, expected, tolerance)


def _cumulants_agree(case: _ModelContract) -> None:
    """Cumulants are the derivatives of log_cf at 0."""
    for maturity in _MATURITIES:
        found = case.model.cumulants(maturity, case.params)
        case.require(np.all(found[:, 1] >= 0), f"A variance is {found[:, 1].min():g}.")
        expected = _cauchy_cumulants(case.model, maturity, case.params)
        # A third or fourth cumulant of zero is zero on the scale of the deviation.
        scale = np.abs(expected) + 1e-3 * np.abs(expected[:, 1:2]) ** (np.arange(1, 5) / 2)
        case.require_close(f"cumulants at {maturity:g}", found, expected, 1e-6 * scale)


def _levy_density_agrees(case: _ModelContract) -> None:
    """A Lévy density, if there is one, has the cumulants of the model."""
    model, params = case.model, case.params
    if not isinstance(model, LevyModel | SumModel) or not model.has_levy_density:
        return
    cumulants = model.cumulants(1.0, params)
    variance = model.gaussian_variance(params)
    case.require_shape("gaussian_variance", variance, (len(params),), "f")
    within = (variance >= 0) & (variance <= cumulants[:, 1] * (1 + 1e-12))
    case.require(np.all(within), "The Brownian part is not between zero and the variance.")
    # The third and fourth moment of the jumps: their size runs over powers of e.
    step = 1 / 64
    size = np.exp(np.arange(-25, 8, step))
    found = np.zeros((len(params), 2))
    for jumps in (size, -size):
        density = model.levy_density(jumps, params)
        case.require_shape("levy_density", density, (len(params), len(jumps)), "f")
        case.require(np.all(density >= 0), "A density is negative, or NaN.")
        moments = (density * size * step)[:, None, :] * np.stack([jumps**3, jumps**4])
        found += moments.sum(axis=2)
    scale = np.abs(cumulants[:, 2:]) + 1e-3 * cumulants[:, 1:2] ** np.array([1.5, 2.0])
    case.require_close("moments of the density", found, cumulants[:, 2:], 1e-6 * scale)


def _refuses_wrong_shapes(case: _ModelContract) -> None:
    """Parameter arrays of the wrong shape are refused, with the columns named."""
    params = case.params
    for bad in (params[0], params[:, :-1], np.column_stack([params, params[:, 0]])):
        case.require_value_error(["shape"], case.model.validate, bad)


def _refuses_values(case: _ModelContract) -> None:
    """A value outside its domain is refused, with its name and row."""
    model = case.model
    for j, parameter in enumerate(model.parameters):
        for value in (*_outside(parameter.domain), np.nan, np.inf, -np.inf):
            params = case.params
            params[1, j] = value
            case.require(not model.admissible(params)[1], f"{parameter.name}={value} is admitted.")
            case.require_value_error([parameter.name, "row 1"], model.validate, params)


def _is_a_value(case: _ModelContract) -> None:
    """Copies and pickles are equal, give the same and have the same short repr."""
    model, u = case.model, _line(0.3)
    text = repr(model)
    case.require(is_stable_repr(text) and len(text) < 200, f"The repr is {text}.")
    value = model.log_cf(u, 0.5, case.params)
    for how, twin in case.copies(model):
        case.require(twin == model and hash(twin) == hash(model), f"{how} gives another value.")
        case.require(repr(twin) == text, f"{how} gives the repr {twin!r}.")
        case.require_close(how, twin.log_cf(u, 0.5, case.params), value, 0.0)


_RULES = (
    _has_name,
    _ranges_are_nested,
    _priors_exist,
    _market_is_admissible,
    _shapes,
    _arguments_are_left_alone,
    _rows_are_independent,
    _sets_have_arguments_of_their_own,
    _kernel_agrees,
    _is_normalised,
    _is_martingale,
    _is_real,
    _is_bounded,
    _is_usable_on_lines,
    _is_analytic,
    _is_continuous,
    _gradient_agrees,
    _rate_agrees,
    _cumulants_agree,
    _levy_density_agrees,
    _refuses_wrong_shapes,
    _refuses_values,
    _is_a_value,
)


# -- helpers -------------------------------------------------------------------------


def _line(angle: float, y: Floats = _LINE) -> Any:
    return 0.5 * np.sinh(y + 1j * angle) - 0.5j


def _size(values: Any, fraction: float) -> Floats:
    return fraction * np.abs(values).max(axis=-1, keepdims=True)


def _text(case: _ModelContract, row: int) -> str:
    names = case.model.parameter_names
    return ", ".join(f"{n}={v:.6g}" for n, v in zip(names, case.params[row], strict=True))


def _outside(domain: tuple[float, float]) -> list[float]:
    low, high = domain
    return [end for end in (low - 0.5, high + 0.5) if np.isfinite(end)]


def _greatest_jump(
    model: CharacteristicModel, maturity: float, params: Floats, angle: float
) -> tuple[complex, float]:
    """Halve every piece of a line, keeping the half that changes more, down to a point.

    What is left of the change is a jump. It is relative where log_cf is large.
    """
    y = np.linspace(1e-3, 7.0, 40)

    def values(y: Floats) -> Any:
        return model.log_cf(_line(angle, y), maturity, params[None])[0]

    left, right = y[:-1], y[1:]
    at_left, at_right = values(left), values(right)
    for _ in range(36):
        middle = (left + right) / 2
        at_middle = values(middle)
        first = np.abs(at_middle - at_left) > np.abs(at_right - at_middle)
        left, at_left = np.where(first, left, middle), np.where(first, at_left, at_middle)
        right, at_right = np.where(first, middle, right), np.where(first, at_middle, at_right)
    jump = np.abs(at_right - at_left) / (1 + 1e-6 * np.abs(at_left))
    jump = np.where(np.isfinite(jump), jump, 0.0)
    worst = int(np.argmax(jump))
    return complex(_line(angle, left)[worst]), float(jump[worst])
