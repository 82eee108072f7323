"""The contract of a model, the sum of models, and Lévy processes."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cache, partial
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri

from levylearn.models._bridge import bridged
from levylearn.models._differences import derivatives, slope_at
from levylearn.models._inversion import quantile_function
from levylearn.models._namespace import array_namespace
from levylearn.models._parameter import Parameter

__all__ = ["CharacteristicModel", "LevyModel", "SumModel"]

Array = Any
Slice = tuple[Array, list[Array]]
Kernel = Callable[[Any], Slice]

_N_CUMULANTS = 4
# Circles that cumulants are read off, and nodes on the half of each.
_RADII = 2.0 ** np.arange(-24, 17)
_N_NODES = 16


class CharacteristicModel(ABC):
    r"""A model known by the characteristic function of its log-return.

    The log-return is that of the forward-normalised asset,
    :math:`X_T = \log(S_T / F_T)`, so that :math:`E[e^{X_T}] = 1` and rates and
    dividends never enter a model. Every method takes a batch of parameter sets.

    A subclass defines `name`, `parameters` and :meth:`log_cf`. Whatever else it
    defines (:meth:`log_cf_gradient`, :meth:`log_cf_rate`, :meth:`cumulants`,
    :meth:`joint_constraint`) makes it faster or safer. It must be analytic in `u` off
    the imaginary axis, because prices are integrals along bent lines, and a formula that
    works element by element; :func:`levylearn.testing.check_model` tests that, with the
    rest of the contract.

    Attributes
    ----------
    name : str
        Name in the registry.
    parameters : tuple of Parameter
        In the order of the columns of `params`.

    See Also
    --------
    register_model : Make a model known by its name.

    Examples
    --------
    >>> import numpy as np
    >>> from levylearn.models import CharacteristicModel, Parameter
    >>> class Gaussian(CharacteristicModel):
    ...     name = "gaussian"
    ...     parameters = (Parameter("sigma", r"\sigma", (0, 10), (0.1, 0.5)),)
    ...     def log_cf(self, u, maturity, params):
    ...         return -0.5 * params[:, :1] ** 2 * maturity * (u**2 + 1j * u)
    >>> model = Gaussian()
    >>> model.log_cf_gradient(np.array([1.0 + 0j]), 1.0, np.array([[0.2]])).round(6)
    array([[[-0.2-0.2j]]])
    """

    name: ClassVar[str]
    parameters: ClassVar[tuple[Parameter, ...]]

    @property
    def has_stationary_increments(self) -> bool:
        """Whether the log characteristic function is proportional to maturity."""
        return False

    @property
    def has_levy_density(self) -> bool:
        """Whether the jumps are known by their sizes, as an integro-differential equation asks."""
        return False

    @abstractmethod
    def log_cf(self, u: Array, maturity: Any, params: Array) -> Array:
        r"""Logarithm of the characteristic function.

        Parameters
        ----------
        u : complex array of shape (m,) or (n_samples, m)
            Arguments, common to all parameter sets or not.
        maturity : float or array of shape (n_samples, 1)
            Time to expiry, in years.
        params : array of shape (n_samples, n_params)
            Parameter sets.

        Returns
        -------
        log_cf : complex array of shape (n_samples, m)
            :math:`\log E[e^{iuX_T}]`.
        """

    def log_cf_gradient(self, u: Array, maturity: Any, params: Array) -> Array:
        """Derivatives of :meth:`log_cf` with respect to the parameters.

        Parameters
        ----------
        u : complex array of shape (m,) or (n_samples, m)
            Arguments, common to all parameter sets or not.
        maturity : float or array of shape (n_samples, 1)
            Time to expiry, in years.
        params : array of shape (n_samples, n_params)
            Parameter sets.

        Returns
        -------
        gradient : complex array of shape (n_samples, n_params, m)
            By fourth-order finite differences unless the model knows better.
        """
        return derivatives(lambda p: self.log_cf(u, maturity, p), params, self.parameters)

    def log_cf_rate(self, u: Array, maturity: Any, params: Array) -> Array:
        r"""Derivative of :meth:`log_cf` with respect to maturity.

        Parameters
        ----------
        u : complex array of shape (m,) or (n_samples, m)
            Arguments, common to all parameter sets or not.
        maturity : float or array of shape (n_samples, 1)
            Time to expiry, in years.
        params : array of shape (n_samples, n_params)
            Parameter sets.

        Returns
        -------
        rate : complex array of shape (n_samples, m)
            :math:`\partial_T \log E[e^{iuX_T}]`, by fourth-order finite differences unless
            the model knows better.
        """
        return slope_at(lambda T: self.log_cf(u, T, params), maturity)

    def kernel(self, u: Array, params: Array, gradient: bool = False) -> Kernel:
        """Prepare the evaluation at several maturities.

        What does not depend on maturity is computed once, here.

        Parameters
        ----------
        u : complex array of shape (m,) or (n_samples, m)
            Arguments, common to all parameter sets or not.
        params : array of shape (n_samples, n_params)
            Parameter sets.
        gradient : bool, default=False
            Whether derivatives will be wanted.

        Returns
        -------
        kernel : callable
            ``kernel(maturities)``, for `maturities` of shape ``(t, 1, 1)`` or
            ``(t, n_samples, 1)``, returns
            the log characteristic function, of shape ``(t, n_samples, m)``, and a
            list of its derivatives, one array for each parameter that broadcasts to
            that shape (empty without `gradient`).
        """

        def evaluate(maturities: Array) -> Slice:
            xp = array_namespace(u, params)
            times = [T.item() if T.size == 1 else T for T in np.asarray(maturities)]
            values = xp.stack([self.log_cf(u, T, params) for T in times])
            if not gradient:
                return values, []
            slopes = xp.stack([self.log_cf_gradient(u, T, params) for T in times])
            return values, [slopes[:, :, j, :] for j in range(self.n_params)]

        return evaluate

    def cumulants(self, maturity: float, params: Array) -> Array:
        r"""First four cumulants of :math:`X_T`.

        Parameters
        ----------
        maturity : float
            Time to expiry, in years.
        params : array of shape (n_samples, n_params)
            Parameter sets.

        Returns
        -------
        cumulants : array of shape (n_samples, 4)
            Mean, variance, third and fourth cumulant. Unless the model has closed
            forms, they are Taylor coefficients of :meth:`log_cf` at 0, taken by
            Cauchy's integral over circles.
        """
        return _cauchy_cumulants(self, maturity, np.asarray(params, dtype=np.float64))

    def moment_limits(self, params: Array) -> tuple[Array, Array]:
        r"""Orders s between which :math:`E[e^{sX_T}]` may exist.

        Only a model whose formula returns plausible numbers beyond them, as one with
        poles does, must say where they are. Elsewhere the end of the moments shows in
        the formula, which is no longer real, finite or convex.

        Parameters
        ----------
        params : array of shape (n_samples, n_params)
            Parameter sets.

        Returns
        -------
        low, high : array of shape (n_samples,)
            Infinite unless the model knows better.
        """
        infinite = np.full(len(params), np.inf)
        return -infinite, infinite

    def joint_constraint(self, params: Array) -> tuple[Array, str]:
        """Condition on several parameters together.

        Parameters
        ----------
        params : array of shape (n_samples, n_params)
            Parameter sets, each parameter in its own domain.

        Returns
        -------
        margin : array of shape (n_samples,)
            Positive where the condition holds.
        text : str
            The condition, for error messages.
        """
        return np.ones(len(params)), ""

    @property
    def parameter_names(self) -> tuple[str, ...]:
        """Names of the parameters, in column order."""
        return tuple(parameter.name for parameter in self.parameters)

    @property
    def n_params(self) -> int:
        """Number of parameters."""
        return len(self.parameters)

    def admissible(self, params: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether the model exists for each parameter set.

        Parameters
        ----------
        params : ndarray of shape (n_samples, n_params)
            Parameter sets.

        Returns
        -------
        admissible : ndarray of bool of shape (n_samples,)
            Each parameter in its domain, and the joint constraint met.
        """
        low, high = _limits(type(self))
        inside = ((params >= low) & (params <= high)).all(axis=1)
        with np.errstate(all="ignore"):
            return inside & (self.joint_constraint(params)[0] > 0)

    def validate(self, params: ArrayLike) -> NDArray[np.float64]:
        """Check parameter sets, naming the first that is refused.

        Parameters
        ----------
        params : array-like of shape (n_samples, n_params)
            Parameter sets.

        Returns
        -------
        params : ndarray of shape (n_samples, n_params)
            As float64.

        Raises
        ------
        ValueError
            If the shape is wrong or a value is outside its domain.

        Examples
        --------
        >>> from levylearn.models import Heston
        >>> Heston().validate([[0.04, -1.0, 0.04, 0.5, -0.7]])
        Traceback (most recent call last):
        ...
        ValueError: kappa=-1 in row 0 is outside [0, inf), the domain of 'heston'.
        """
        array = np.asarray(params, dtype=np.float64)
        if array.ndim != 2 or array.shape[1] != self.n_params:
            raise ValueError(
                f"params of {self.name!r} must have shape (n_samples, {self.n_params}), "
                f"columns {', '.join(self.parameter_names)}; got shape {array.shape}."
            )
        if self.admissible(array).all():
            return array
        for j, parameter in enumerate(self.parameters):
            bad = np.flatnonzero(~parameter.contains(array[:, j]))
            if bad.size:
                raise ValueError(
                    f"{parameter.name}={array[bad[0], j]:g} in row {bad[0]} is outside "
                    f"{parameter.domain_text}, the domain of {self.name!r}."
                )
        margin, text = self.joint_constraint(array)
        row = int(np.flatnonzero(~(margin > 0))[0])
        values = ", ".join(
            f"{n}={v:g}" for n, v in zip(self.parameter_names, array[row], strict=True)
        )
        raise ValueError(f"row {row} ({values}) of {self.name!r} must satisfy {text}.")

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other) and vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((type(self), repr(self)))

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    @property
    def uniforms_per_step(self) -> int:
        """Uniform numbers that a step of :meth:`simulate_mixture` takes."""
        return 1

    @property
    def steps_per_year(self) -> int:
        """Steps that an accurate simulation takes; 0 if steps of any length are exact."""
        return 0

    def simulate_mixture(
        self, times: NDArray[np.float64], params: NDArray[np.float64], uniforms: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Simulate all of a path but a Brownian motion.

        Given what is simulated here, a clock, a variance, jumps, the increments of the
        log-return are independent normal numbers, with the means and variances returned.
        Unless the model knows better, this is its increments themselves, by inversion of their
        distribution function, right to 1e-7; that is enough for models with independent
        increments (:attr:`has_stationary_increments`) and a few parameter sets.

        Parameters
        ----------
        times : ndarray of shape (n_steps,)
            Ends of the steps, in ascending order. The first step starts at 0.
        params : ndarray of shape (n_samples, n_params)
            Parameter sets.
        uniforms : ndarray of shape (n_paths, n_steps * uniforms_per_step)
            Uniform numbers in (0, 1), those of the first step first. The paths of all
            parameter sets are made from the same.

        Returns
        -------
        means, variances : ndarray of shape (n_samples, n_paths, n_steps)
            Means and variances of the increments.

        Raises
        ------
        NotImplementedError
            If the model has no simulation.
        """
        if not self.has_stationary_increments:
            raise NotImplementedError(
                f"{self.name!r} has no simulation: implement simulate_mixture, or, if its "
                f"log_cf is proportional to maturity, let has_stationary_increments be True."
            )
        return _increments_by_inversion(self, times, params, uniforms)

    def simulate(
        self, times: ArrayLike, params: ArrayLike, uniforms: ArrayLike
    ) -> NDArray[np.float64]:
        """Simulate paths of the log-return from uniform numbers.

        Parameters
        ----------
        times : array-like of shape (n_steps,)
            Ends of the steps, in years, positive and ascending. Where
            :attr:`steps_per_year` is not 0, longer steps cost accuracy.
        params : array-like of shape (n_samples, n_params)
            Parameter sets.
        uniforms : array-like of shape (n_paths, n_steps * (1 + uniforms_per_step))
            Uniform numbers in (0, 1). The first `n_steps` make a Brownian motion, by its
            bridge; the rest go to :meth:`simulate_mixture`.

        Returns
        -------
        log_returns : ndarray of shape (n_samples, n_paths, n_steps)
            Log-returns from 0 to each of the times.

        Raises
        ------
        ValueError
            If an argument has the wrong shape or is out of range.
        NotImplementedError
            If the model has no simulation.

        Examples
        --------
        >>> import numpy as np
        >>> from levylearn.models import VarianceGamma
        >>> uniforms = np.random.default_rng(0).random((50_000, 4))
        >>> X = VarianceGamma().simulate([0.5, 1.0], [[0.12, 0.2, -0.14]], uniforms)
        >>> X.shape
        (1, 50000, 2)
        >>> np.exp(X).mean(axis=1).round(2)
        array([[1., 1.]])
        """
        params = self.validate(params)
        times = _check_times(times)
        n_steps = len(times)
        uniforms = _check_uniforms(uniforms, n_steps * (1 + self.uniforms_per_step))
        normals = bridged(ndtri(uniforms[:, :n_steps]))
        means, variances = self.simulate_mixture(times, params, uniforms[:, n_steps:])
        return np.cumsum(means + np.sqrt(variances) * normals, axis=2)


class _KernelModel(CharacteristicModel):
    """A model written as one kernel, from which the public methods follow."""

    @abstractmethod
    def kernel(self, u: Array, params: Array, gradient: bool = False) -> Kernel: ...

    def log_cf(self, u: Array, maturity: Any, params: Array) -> Array:
        return self.kernel(u, params)(maturity)[0]

    def log_cf_gradient(self, u: Array, maturity: Any, params: Array) -> Array:
        xp = array_namespace(u, params)
        value, slopes = self.kernel(u, params, gradient=True)(maturity)
        return xp.stack([xp.broadcast_to(slope, value.shape) for slope in slopes], axis=1)


class LevyModel(_KernelModel):
    r"""A Lévy process: :math:`\log\varphi_T(u) = T\,\psi(u)`.

    A subclass defines :meth:`exponent` and :meth:`cumulant_rates`. With
    :meth:`levy_density` as well, and :meth:`gaussian_variance` unless it is zero,
    :class:`levylearn.pricing.PIDEPricer` prices it, American options too. The two are its
    Lévy measure and its Brownian part,

    .. math::
        \psi(u) = -\tfrac12\sigma^2(u^2 + iu)
        + \int \left(e^{iuy} - 1 - iu(e^y - 1)\right)\nu(y)\,dy ,

    where the last term is the drift that makes the price a martingale.
    """

    @property
    def has_stationary_increments(self) -> bool:
        return True

    @property
    def has_levy_density(self) -> bool:
        return type(self).levy_density is not LevyModel.levy_density

    @abstractmethod
    def exponent(self, u: Array, params: Array, gradient: bool = False) -> Slice:
        r"""Lévy exponent :math:`\psi(u)` and its derivatives.

        Parameters
        ----------
        u : complex array of shape (m,) or (n_samples, m)
            Arguments, common to all parameter sets or not.
        params : array of shape (n_samples, n_params)
            Parameter sets.
        gradient : bool, default=False
            Whether derivatives are wanted.

        Returns
        -------
        psi : complex array of shape (n_samples, m)
            The exponent, with the drift that makes the price a martingale.
        slopes : list of complex array of shape (n_samples, m)
            One for each parameter; empty without `gradient`.
        """

    @abstractmethod
    def cumulant_rates(self, params: Array) -> list[Array]:
        """Cumulants per year.

        Parameters
        ----------
        params : array of shape (n_samples, n_params)
            Parameter sets.

        Returns
        -------
        rates : list of four arrays of shape (n_samples,)
            Mean, variance, third and fourth cumulant of the return over one year.
        """

    def gaussian_variance(self, params: Array) -> Array:
        r"""Variance of the Brownian part per year.

        Parameters
        ----------
        params : array of shape (n_samples, n_params)
            Parameter sets.

        Returns
        -------
        variance : array of shape (n_samples,)
            :math:`\sigma^2`, zero unless the model says otherwise.
        """
        return array_namespace(params).zeros_like(params[:, 0])

    def levy_density(self, x: Array, params: Array) -> Array:
        r"""Density of the jumps: how many of each log-size are expected in a year.

        Parameters
        ----------
        x : array of shape (m,) or (n_samples, m)
            Sizes, none of them zero, common to all parameter sets or not.
        params : array of shape (n_samples, n_params)
            Parameter sets.

        Returns
        -------
        density : array of shape (n_samples, m)
            :math:`\nu(x)`. It may be infinite in total, as long as
            :math:`\int \min(1, x^2)\,\nu(x)\,dx` is not.

        Raises
        ------
        NotImplementedError
            If the model does not have it.
        """
        raise NotImplementedError(f"{type(self).__name__} has no levy_density.")

    def log_cf_rate(self, u: Array, maturity: Any, params: Array) -> Array:
        return self.exponent(u, params)[0]

    def kernel(self, u: Array, params: Array, gradient: bool = False) -> Kernel:
        psi, slopes = self.exponent(u, params, gradient)
        return lambda maturity: (maturity * psi, [maturity * slope for slope in slopes])

    def cumulants(self, maturity: float, params: Array) -> Array:
        xp = array_namespace(params)
        return maturity * xp.stack(self.cumulant_rates(params), axis=1)


class SumModel(_KernelModel):
    """A log-return that is a sum of independent parts.

    A subclass lists its `parts`, and in `parameters` those of the parts in turn,
    under names that are unique.

    Examples
    --------
    >>> from levylearn.models import Bates
    >>> Bates().parameter_names
    ('v0', 'kappa', 'theta', 'sigma', 'rho', 'lam', 'muj', 'sigmaj')
    """

    parts: ClassVar[tuple[CharacteristicModel, ...]]

    @property
    def has_stationary_increments(self) -> bool:
        return all(part.has_stationary_increments for part in self.parts)

    @property
    def has_levy_density(self) -> bool:
        return all(part.has_levy_density for part in self.parts)

    def _split(self, params: Array) -> list[tuple[CharacteristicModel, Array]]:
        ends = np.cumsum([part.n_params for part in self.parts])
        starts = ends - [part.n_params for part in self.parts]
        return [
            (part, params[:, start:end])
            for part, start, end in zip(self.parts, starts.tolist(), ends.tolist(), strict=True)
        ]

    def kernel(self, u: Array, params: Array, gradient: bool = False) -> Kernel:
        kernels = [part.kernel(u, columns, gradient) for part, columns in self._split(params)]

        def evaluate(maturity: Array) -> Slice:
            values, slopes = zip(*(kernel(maturity) for kernel in kernels), strict=True)
            total = values[0]
            for value in values[1:]:
                total = total + value
            return total, [slope for part in slopes for slope in part]

        return evaluate

    def log_cf_rate(self, u: Array, maturity: Any, params: Array) -> Array:
        first, *others = (part.log_cf_rate(u, maturity, cols) for part, cols in self._split(params))
        return sum(others, start=first)

    def cumulants(self, maturity: float, params: Array) -> Array:
        first, *others = (part.cumulants(maturity, cols) for part, cols in self._split(params))
        return sum(others, start=first)

    def gaussian_variance(self, params: Array) -> Array:
        """Variance of the Brownian parts per year, if all parts are Lévy processes.

        Parameters
        ----------
        params : array of shape (n_samples, n_params)
            Parameter sets.

        Returns
        -------
        variance : array of shape (n_samples,)
            The sum over the parts.
        """
        first, *others = (part.gaussian_variance(cols) for part, cols in self._levy_parts(params))
        return sum(others, start=first)

    def levy_density(self, x: Array, params: Array) -> Array:
        """Density of the jumps of all parts, if these are Lévy processes.

        Parameters
        ----------
        x : array of shape (m,) or (n_samples, m)
            Sizes, none of them zero, common to all parameter sets or not.
        params : array of shape (n_samples, n_params)
            Parameter sets.

        Returns
        -------
        density : array of shape (n_samples, m)
            The sum over the parts, as of :meth:`LevyModel.levy_density`.
        """
        first, *others = (part.levy_density(x, cols) for part, cols in self._levy_parts(params))
        return sum(others, start=first)

    def _levy_parts(self, params: Array) -> list[tuple[LevyModel, Array]]:
        if not self.has_levy_density:
            raise NotImplementedError(f"{type(self).__name__} is no sum of Lévy processes.")
        return [(cast(LevyModel, part), columns) for part, columns in self._split(params)]

    def moment_limits(self, params: Array) -> tuple[Array, Array]:
        lows, highs = zip(
            *(part.moment_limits(columns) for part, columns in self._split(params)), strict=True
        )
        return np.maximum.reduce(lows), np.minimum.reduce(highs)

    def joint_constraint(self, params: Array) -> tuple[Array, str]:
        margins, texts = zip(
            *(part.joint_constraint(columns) for part, columns in self._split(params)),
            strict=True,
        )
        return np.minimum.reduce(margins), " and ".join(text for text in texts if text)

    @property
    def uniforms_per_step(self) -> int:
        return sum(part.uniforms_per_step for part in self.parts)

    @property
    def steps_per_year(self) -> int:
        return max(part.steps_per_year for part in self.parts)

    def simulate_mixture(
        self, times: NDArray[np.float64], params: NDArray[np.float64], uniforms: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        by_step = uniforms.reshape(len(uniforms), len(times), self.uniforms_per_step)
        means = variances = np.zeros((len(params), len(uniforms), len(times)))
        start = 0
        for part, cols in self._split(params):
            end = start + part.uniforms_per_step
            own = by_step[..., start:end].reshape(len(uniforms), -1)
            mean, variance = part.simulate_mixture(times, cols, own)
            means, variances, start = means + mean, variances + variance, end
        return means, variances


@cache
def _limits(model: type[CharacteristicModel]) -> NDArray[np.float64]:
    """Least and greatest values (2, n_params) in the domains of a model's parameters."""
    return np.array([parameter.limits for parameter in model.parameters]).T


def columns(params: Array) -> list[Array]:
    """Return the parameters as arrays of shape (n_samples, 1)."""
    return [params[:, j : j + 1] for j in range(params.shape[1])]


def _check_times(times: ArrayLike) -> NDArray[np.float64]:
    array = np.asarray(times, dtype=np.float64)
    if array.ndim != 1 or not array.size:
        raise ValueError(f"times must have shape (n_steps,); got shape {array.shape}.")
    bad = np.flatnonzero(~(np.diff(array, prepend=0.0) > 0) | ~np.isfinite(array))
    if bad.size:
        raise ValueError(
            f"times must be positive, finite and ascending; times[{bad[0]}]={array[bad[0]]:g}."
        )
    return array


def _check_uniforms(uniforms: ArrayLike, width: int) -> NDArray[np.float64]:
    array = np.asarray(uniforms, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] != width:
        raise ValueError(
            f"uniforms must have shape (n_paths, {width}), for these times; "
            f"got shape {array.shape}."
        )
    if not np.all((array > 0) & (array < 1)):
        raise ValueError("uniforms must be between 0 and 1, exclusively.")
    return array


def _log_cf_of_row(
    model: CharacteristicModel, maturity: float, row: NDArray[np.float64], u: Array
) -> Array:
    return model.log_cf(u, maturity, row[None])[0]


def _increments_by_inversion(
    model: CharacteristicModel,
    times: NDArray[np.float64],
    params: NDArray[np.float64],
    uniforms: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Independent increments as their own means, with no variance left."""
    steps = np.diff(times, prepend=0.0)
    # Steps that differ by rounding share a table.
    lengths, which = np.unique(np.round(steps, 12), return_inverse=True)
    scores = ndtri(uniforms)
    increments = np.empty((len(params), *scores.shape))
    for row in range(len(params)):
        for i, length in enumerate(lengths):
            quantile = quantile_function(partial(_log_cf_of_row, model, length, params[row]))
            increments[row][:, which == i] = quantile(scores[:, which == i])
    return increments, np.zeros_like(increments)


def _cauchy_cumulants(
    model: CharacteristicModel, maturity: float, params: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Taylor coefficients at 0, each from the circle on which it is known best.

    How far log_cf is analytic differs by orders of magnitude between parameter sets, so
    circles of all sizes are tried. On a small one rounding drowns the higher orders. A large
    one runs into singularities, or encloses them: then the negative orders of its Fourier
    series, which are zero for an analytic function, are not.
    """
    # The right half of the circle is enough: at -conj(u) stands the conjugate.
    angles = np.exp(1j * np.pi * ((np.arange(_N_NODES) + 0.5) / _N_NODES - 0.5))
    u = (_RADII[:, None] * angles).ravel()
    orders = np.arange(-_N_NODES // 2, _N_CUMULANTS + 1)
    with np.errstate(all="ignore"):
        values = model.log_cf(u, maturity, params).reshape(len(params), -1, _N_NODES)
        terms = (values @ ((1j * angles[:, None]) ** -orders / _N_NODES)).real
        size = np.abs(values).max(axis=2)
        negative = np.abs(terms[..., orders < 0]).max(axis=2)
    analytic = np.logical_and.accumulate(negative <= 1e-10 * size + 1e-13, axis=1)
    error = np.where(analytic, np.finfo(np.float64).eps * size + negative, np.inf)
    rows = np.arange(len(params))
    result = np.empty((len(params), _N_CUMULANTS))
    for order in range(1, _N_CUMULANTS + 1):
        power = _RADII**-order
        best = np.argmin(error * power, axis=1)
        coefficient = terms[rows, best, order - orders[0]] * power[best]
        result[:, order - 1] = math.factorial(order) * coefficient
    return result
