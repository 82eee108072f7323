"""The posterior by a flow that has learned it for all surfaces."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from levylearn.base import BasePricer
from levylearn.calibration._bayes import PosteriorCalibrator
from levylearn.calibration._draws import Draws
from levylearn.calibration._importance import weighted
from levylearn.calibration._kept_network import KeepsNetwork
from levylearn.calibration._neural import augmented, checked_sizes
from levylearn.calibration._normal_points import normal_points
from levylearn.calibration._posterior import PosteriorDensity
from levylearn.calibration._principal import PrincipalComponents
from levylearn.calibration._simulation import simulate
from levylearn.calibration._training_range import TrainingRange
from levylearn.utils._optional import import_optional
from levylearn.utils._sklearn import HasMethods, Interval, StrOptions

__all__ = ["AmortizedPosteriorCalibrator"]

Floats = NDArray[np.float64]

# Part of the simulated surfaces that tells when to stop.
_HELD_OUT = 0.1
# With few surfaces batches are smaller: an epoch has at least so many.
_BATCHES, _SMALLEST_BATCH, _LARGEST_BATCH = 64, 16, 512
# Prices of one surface are planned by so many of its draws.
_PLANNED_BY = 16
_NO_DRAWS = "The flow has no finite draws."
_NO_DENSITY = "The model has no price where the flow draws."


class AmortizedPosteriorCalibrator(KeepsNetwork, PosteriorCalibrator):
    """The posterior by a flow that has learned it for all surfaces.

    `fit` simulates surfaces, from the prior and with the noise, and trains a conditional
    normalising flow on them: a network that says, for any surface, the distribution of the
    parameters. The posterior of another surface is then one forward pass. Importance sampling
    with the exact density corrects it, and tells how much it had to.

    The flow is learned in the coordinates in which the prior is standard normal, from the
    principal components of the quotes, or nearly of their logarithms if errors are relative:
    there, errors are the same for all surfaces.

    Parameters
    ----------
    pricer : pricer
        The forward map, as :class:`levylearn.pricing.ContourPricer`.
    noise : float or array-like of shape (n_quotes,), default=0.01
        Standard deviations of the quotes' errors: one for all or one for each quote. Half of
        a bid-ask spread is one, with ``noise_kind="absolute"``.
    noise_kind : {"relative", "absolute"}, default="relative"
        Whether `noise` is a fraction of the model's price, or in the unit of the surfaces.
        Errors that are fractions leave out quotes that are not positive.
    noise_prior : frozen distribution of scipy.stats or None, default=None
        Prior of a level that multiplies `noise`, if that is unknown; it is then inferred
        along with the parameters, as ``noise_level``.
    priors : mapping of str to frozen distribution of scipy.stats, default=None
        Priors of parameters, instead of those of the model. All are cut off at the bounds.
    bounds : mapping of str to (low, high), default=None
        Bounds of parameters, instead of those of the model.
    fixed : mapping of str to float, default=None
        Parameters that are held fixed.
    estimate : {"mean", "median"}, default="mean"
        What `predict` returns of the posterior.
    refine : {"importance"} or None, default="importance"
        Whether draws are corrected by importance sampling, which prices each of them, or are
        the flow's own.
    n_draws : int, default=1024
        Number of draws, best a power of two.
    min_efficiency : float, default=0.3
        Effective sample size, as a fraction of `n_draws`, that weighted draws are to have; where
        they have less, the flow's own are kept, with a warning.
    n_simulations : int, default=32768
        Number of surfaces to simulate. Their errors are drawn anew for every epoch.
    augment : transformer, default=None
        What else happens to surfaces, as :class:`levylearn.preprocessing.MissingQuotes`:
        its `fit_transform` is applied to those simulated, anew for every epoch.
    hidden_layer_sizes : tuple of int, default=(128, 128, 128)
        Sizes of the layers of the network that sees the surface.
    n_transforms : int, default=1
        Number of spline transforms that bend what is left when mean and covariance are out.
    learning_rate : float, default=0.01
        The greatest; it rises to this and then falls to nothing.
    max_epochs : int, default=60
        Number of epochs, at most.
    patience : int, default=20
        Training ends after so many epochs without a better one.
    checkpoint : path-like, default=None
        File that keeps the state of the training, so that it can go on after an interruption.
    device : str, default="auto"
        Where to train: torch's name of a device; "auto" takes a GPU if there is one.
    random_state : int, RandomState instance or None, default=0
        Decides everything; every surface begins with the same points.
    n_jobs : int or None, default=None
        Processes that share the surfaces.
    verbose : int, default=0
        Whether to show progress.

    Attributes
    ----------
    pricer_ : pricer
        The fitted pricer.
    parameter_names_ : tuple of str
        Names of the parameters, in column order.
    posterior_ : InferenceData or list of InferenceData
        Draws for the surfaces that `fit` was given, if it was given no `y`.
    history_ : dict of str to ndarray
        One entry for each epoch in each of ``train_loss`` and ``valid_loss`` (the mean
        negative log-density of the true coordinates), ``learning_rate`` and ``seconds``.
    n_epochs_ : int
        Number of epochs.
    best_epoch_ : int
        The epoch whose weights are kept.
    training_range_ : TrainingRange
        Least and greatest components and coordinates that were simulated.
    n_features_in_ : int
        Number of quotes.
    feature_names_in_ : ndarray of str
        Names of the quotes, if `fit` saw any.

    See Also
    --------
    NUTSCalibrator : Nothing to be learned beforehand, far slower for each surface.
    MLPCalibrator : A network that answers with parameters alone.

    Notes
    -----
    The surfaces that `fit` is given are not learned from. Training is worth its time if many
    surfaces are to come that share grid, prior and noise.

    Draws of the flow are first moved by an affine map to where the exact density wants them,
    then weighted, then drawn again by their weights, so that all count the same and some come
    several times. :meth:`calibrate` also returns ``importance_ess``, how many independent draws
    they are worth, ``importance_efficiency``, that as a fraction, and ``log_evidence``, an
    estimate of the logarithm of the marginal density of the quotes, by which models can be
    compared. If that fraction is below `min_efficiency`, a few draws hold all the weight, and
    would make a posterior that is far too narrow: the flow's own are kept, and the surface is not
    converged. Take another method for it. Without correction, a surface far outside what was
    simulated is not converged.

    The flow takes missing quotes for what the others suggest, and so is too sure of them, unless
    `augment` shows it such surfaces; the correction knows of quoted ones only. Where errors are
    relative, a quote that is not positive is next to nothing to the flow, and is left out by the
    correction: write NaN if it is no quote at all.

    References
    ----------
    Papamakarios, G. and Murray, I. (2016). Fast epsilon-free inference of simulation models
    with Bayesian conditional density estimation. Advances in Neural Information Processing
    Systems 29.

    Durkan, C., Bekasov, A., Murray, I. and Papamakarios, G. (2019). Neural spline flows.
    Advances in Neural Information Processing Systems 32.

    Dax, M., Green, S., Gair, J., Pürrer, M., Wildberger, J., Macke, J., Buonanno, A. and
    Schölkopf, B. (2023). Neural importance sampling for rapid and reliable gravitational-wave
    inference. Physical Review Letters 130, 171403.

    Paananen, T., Piironen, J., Bürkner, P.-C. and Vehtari, A. (2021). Implicitly adaptive
    importance sampling. Statistics and Computing 31, 16.

    Examples
    --------
    >>> import numpy as np
    >>> from levylearn.calibration import AmortizedPosteriorCalibrator
    >>> from levylearn.market import OptionGrid
    >>> from levylearn.pricing import ContourPricer
    >>> grid = OptionGrid(strikes=[80, 90, 100, 110, 120], maturities=[0.25, 1.0])
    >>> params = np.array([[0.2, 0.4, -0.2]])
    >>> pricer = ContourPricer("variance_gamma", grid)
    >>> X = pricer.fit(params).transform(params)
    >>> calibrator = AmortizedPosteriorCalibrator(
    ...     pricer, noise=0.05, n_simulations=2000, max_epochs=10
    ... ).fit(X)
    >>> low, high = calibrator.predict_interval(X)[0].T
    >>> bool(np.all((low < params) & (params < high)))
    True
    """

    _parameter_constraints: dict[str, list[Any]] = {
        **PosteriorCalibrator._parameter_constraints,
        "refine": [StrOptions({"importance"}), None],
        "n_draws": [Interval(Integral, 64, None, closed="left")],
        "min_efficiency": [Interval(Real, 0, 1, closed="right")],
        "n_simulations": [Interval(Integral, 2, None, closed="left")],
        "augment": [HasMethods(["fit_transform"]), None],
        "hidden_layer_sizes": ["array-like"],
        "n_transforms": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "patience": [Interval(Integral, 1, None, closed="left")],
        "checkpoint": [str, os.PathLike, None],
        "device": [str],
    }

    def __init__(
        self,
        pricer: BasePricer,
        noise: ArrayLike = 0.01,
        *,
        noise_kind: str = "relative",
        noise_prior: Any = None,
        priors: Mapping[str, Any] | None = None,
        bounds: Mapping[str, tuple[float, float]] | None = None,
        fixed: Mapping[str, float] | None = None,
        estimate: str = "mean",
        refine: str | None = "importance",
        n_draws: int = 1024,
        min_efficiency: float = 0.3,
        n_simulations: int = 32768,
        augment: Any = None,
        hidden_layer_sizes: tuple[int, ...] = (128, 128, 128),
        n_transforms: int = 1,
        learning_rate: float = 0.01,
        max_epochs: int = 60,
        patience: int = 20,
        checkpoint: str | os.PathLike[str] | None = None,
        device: str = "auto",
        random_state: Any = 0,
        n_jobs: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.pricer = pricer
        self.noise = noise
        self.noise_kind = noise_kind
        self.noise_prior = noise_prior
        self.priors = priors
        self.bounds = bounds
        self.fixed = fixed
        self.estimate = estimate
        self.refine = refine
        self.n_draws = n_draws
        self.min_efficiency = min_efficiency
        self.n_simulations = n_simulations
        self.augment = augment
        self.hidden_layer_sizes = hidden_layer_sizes
        self.n_transforms = n_transforms
        self.learning_rate = learning_rate
        self.max_epochs = max_epochs
        self.patience = patience
        self.checkpoint = checkpoint
        self.device = device
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.verbose = verbose

    # -- learning --------------------------------------------------------------

    def _learn(self) -> None:
        for library in ("skorch", "zuko"):
            import_optional(library, type(self).__name__)
        import torch

        from levylearn.calibration._torch.training import Recipe, train

        hidden = checked_sizes("hidden_layer_sizes", self.hidden_layer_sizes)
        n_held = max(1, round(_HELD_OUT * self.n_simulations))
        n = self.n_simulations - n_held
        random = np.random.default_rng(self._seed)
        learned, held = (
            simulate(self.pricer_, self._space, self._noise, size, random) for size in (n, n_held)
        )

        def met(epoch: int) -> Floats:
            seed = self._seed + epoch
            X = learned.quotes(np.random.default_rng(seed))
            return self._stable(augmented(self.augment, X, seed))

        first = met(1)
        self._components = PrincipalComponents(first)
        inputs = self._components.scores(first)
        self.training_range_ = TrainingRange(inputs, learned.x)
        self._spec = {
            "n_in": inputs.shape[1],
            "n_out": self._space.size,
            "hidden": hidden,
            "n_transforms": self.n_transforms,
        }
        recipe = Recipe(
            "negative_log_density",
            self.learning_rate,
            0.0,
            int(np.clip(n // _BATCHES, _SMALLEST_BATCH, _LARGEST_BATCH)),
            self.max_epochs,
            self.patience,
            False,
        )
        held_inputs = self._inputs(augmented(self.augment, held.quotes(), self._seed))
        with torch.random.fork_rng():  # the caller's stream is left alone
            torch.manual_seed(self._seed)
            module = self._build()
            self.history_ = train(
                module,
                (inputs, learned.x),
                (held_inputs, held.x),
                recipe,
                self._seed,
                device=self.device,
                renew=lambda epoch: self._components.scores(met(1 + epoch)),
                checkpoint=self.checkpoint,
                verbose=self.verbose,
            )
        self._module = module.double().eval()  # trained in single precision, it answers in double
        self.n_epochs_ = len(self.history_["valid_loss"])
        self.best_epoch_ = int(np.argmin(self.history_["valid_loss"]))

    def _build(self) -> Any:
        from levylearn.calibration._torch.flows import ConditionalFlow

        return ConditionalFlow(**self._spec)

    def _stable(self, X: Floats) -> Floats:
        """Quotes by a scale on which their errors do not depend on the surface.

        Where errors are fractions it is the logarithm, down to where the floor of the noise takes
        over. A quote that is not positive is next to nothing there, as in the simulation.
        """
        if not self._noise.relative:
            return X
        floor = max(self._noise.floor, np.finfo(float).tiny)
        return np.arcsinh(np.maximum(X, 0.0) * (self._noise.sizes / floor))

    def _inputs(self, X: Floats) -> Floats:
        return self._components.scores(self._stable(X))

    # -- answering -------------------------------------------------------------

    def _outcomes(self, X: Floats) -> Iterator[Draws | str]:
        points = normal_points(self.n_draws, self._space.size, self._seed)
        for surface, inputs in zip(X[:, None], self._inputs(X), strict=True):
            x = self._drawn(inputs, points)
            if not np.isfinite(x).all():
                yield _NO_DRAWS
            elif self.refine is None:
                yield self._unrefined(x, inputs)
            else:
                yield self._refined(x, inputs, surface)

    def _drawn(self, inputs: Floats, points: Floats) -> Floats:
        """Draws (n, d) of the flow for one surface."""
        import torch

        with torch.inference_mode():
            draws: Floats = self._module.draws(torch.tensor(inputs), torch.tensor(points)).numpy()
        return draws

    def _log_density(self, x: Floats, inputs: Floats) -> Floats:
        """Log-densities (n,) of the flow for one surface, at coordinates (n, d)."""
        import torch

        with torch.inference_mode():
            flow = self._module(torch.tensor(inputs))
            log_density: Floats = flow.log_prob(torch.tensor(x)).numpy()
        return log_density

    def _unrefined(self, x: Floats, inputs: Floats) -> Draws:
        far = bool(self.training_range_.left_by(inputs[None], x.mean(axis=0)[None])[0])
        return Draws(
            x=x[None],
            stats={},
            summary={},
            converged=not far,
            message=f"The surface is {'far from' if far else 'like'} those that were simulated.",
        )

    def _refined(self, x: Floats, inputs: Floats, surface: Floats) -> Draws | str:
        density = PosteriorDensity(self.pricer_, self._space, surface, self._noise)
        density.plan_around(x[None, :_PLANNED_BY])
        draws = weighted(
            lambda at: density(at, np.zeros(len(at), dtype=np.intp))[0],
            x,
            self._log_density(x, inputs),
        )
        ess, n = draws.ess, len(x)
        if not ess:
            return _NO_DENSITY
        enough = ess >= self.min_efficiency * n
        message = f"The {n} weighted draws are worth {ess:.0f} independent ones"
        stats = {}
        if enough:
            chosen = draws.resampled(np.random.default_rng(self._seed))
            x, stats = draws.x[chosen], {"lp": draws.log_density[None, chosen]}
        return Draws(
            x=x[None],
            stats=stats,
            summary={
                "importance_ess": ess,
                "importance_efficiency": ess / n,
                "log_evidence": draws.log_evidence,
            },
            converged=enough,
            message=message + ("." if enough else ": the flow's own are kept."),
        )
