r"""Normalised call prices of a batch of parameter sets, by the contour integral.

With :math:`k = \log(F/K)` and the characteristic function :math:`\varphi`,

.. math::
    \frac{C}{DF} = 1 - \frac{e^{-k/2}}{\pi} \int_0^\infty
    \mathrm{Re}\,\frac{e^{iuk}\varphi(u - i/2)}{u^2 + 1/4}\,du .

The characteristic function is evaluated at the nodes of many lines together; sets on the same
line are summed together, as one matrix product with a fixed table of weights.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np

from levylearn.models._complex import exp
from levylearn.pricing._blocks import Block, Run, blocks
from levylearn.pricing._layout import Layout
from levylearn.pricing._lines import STEPS, Complex, Floats, Ints, nodes
from levylearn.pricing._plan import OVERFLOW, Bools, Plan, sides_of

# Aimed at: the error of a price, as a fraction of the forward.
LOG_TOLERANCE = float(np.log(1e-13))
# Rounding error of a sum, as a fraction of the sum of its terms' absolute values.
_ROUNDING = 8 * float(np.finfo(np.float64).eps)
# So many complex numbers stay in the processor's cache.
_TERMS_AT_ONCE = 2**14
_ONE_YEAR = np.ones((1, 1, 1))
# Numbers that tables of weights may take up: 256 MiB.
_MOST_KEPT = 2**25


class Integrand(Protocol):
    """What is asked of a model: see :class:`levylearn.models.CharacteristicModel`."""

    @property
    def n_params(self) -> int:
        """Number of derivatives."""

    @property
    def has_stationary_increments(self) -> bool:
        """Whether all are proportional to maturity."""

    def kernel(self, u: Any, params: Any, gradient: bool = False) -> Any:
        """Prepare the evaluation at several maturities."""


class _Job(NamedTuple):
    """A block of lines for many strikes each, and what it prices."""

    block: Block
    sets: Ints  # which parameter set each line is for
    times: Floats  # (t, 1, 1), or (t, n, 1) if there is more than one band
    positions: tuple[Ints, ...]  # within the block: maturities, items, strikes
    rows: Ints  # of the result, for every position
    quotes: Ints


class _Alone(NamedTuple):
    """A block of lines for one strike each."""

    block: Block
    sets: Ints
    times: Floats  # (1, n, 1)
    k: Floats  # (n, 1)
    quotes: Ints


class _Work(NamedTuple):
    """What a plan amounts to."""

    jobs: list[_Job]
    alone: list[_Alone]


class ContourIntegrator:
    """Normalised call prices C / (D F) on the contracts of a grid.

    Parameters
    ----------
    layout : Layout
        The contracts.
    """

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self._tables: dict[tuple[int, int, int], Floats] = {}
        self._last: tuple[bytes, _Work] | None = None

    # Strikes of the other side, and lines made for other parameters, may lead anywhere.
    @np.errstate(all="ignore")
    def integrate(
        self,
        model: Integrand,
        params: Floats,
        plan: Plan,
        gradient: bool = False,
        negligible: Floats | None = None,
    ) -> tuple[Floats, Floats | None]:
        """Normalised calls (n, n_quotes) and their derivatives (n, n_params, n_quotes).

        If the plan was made for others it is to be told which terms are negligible (n,): sets
        whose integrand is larger at the end of one of its lines have NaN.
        """
        layers = 1 + gradient * model.n_params
        least = None if negligible is None else np.log(negligible)
        # Where the integrand is negligible everywhere, no line is laid: the integral is 0.
        out = np.zeros((len(params), layers, self.layout.n_quotes))
        work = self._work(plan)
        for job in work.jobs:
            self._price(model, params, job, out, least)
        for alone in work.alone:
            _price_alone(model, params, alone, out, least)
        return 1 - out[:, 0], -out[:, 1:] if gradient else None

    @np.errstate(all="ignore")
    def error_estimate(self, model: Integrand, params: Floats, plan: Plan) -> Floats:
        """Estimated absolute error of normalised calls, of shape (n, n_quotes)."""
        out = np.full((len(params), self.layout.n_quotes), np.exp(LOG_TOLERANCE))
        work = self._work(plan)
        for job in work.jobs:
            log_phi, _ = self._log_phi(model, params, job, gradient=False)
            terms = self._terms(model, job, log_phi, [])[:, :, 0]
            mask = np.zeros((*terms.shape[:2], self.layout.k.shape[1]), dtype=bool)
            mask[job.positions] = True
            errors = np.zeros(mask.shape)
            for run in job.block.runs:
                own = (slice(self.layout.counts[run.band]), run.items)
                table = self._table(run)
                levels = _errors(terms[own][..., : run.n_nodes], table, STEPS[run.line.step])
                # Each can be small by accident at one strike, but not at all of them.
                worst = (
                    np.where(mask[own], level, 0.0).max(axis=-1, keepdims=True) for level in levels
                )
                errors[own] = _extrapolated(*worst)
            out[job.rows, job.quotes] = errors[job.positions]
        for alone in work.alone:
            terms, _ = _terms_alone(model, params, alone, gradient=False)
            for run in alone.block.runs:
                errors = _errors_alone(terms[run.items, : run.n_nodes], STEPS[run.line.step])
                out[alone.sets[run.items], alone.quotes[run.items]] = errors
        return out

    def _work(self, plan: Plan) -> _Work:
        """Arrange the lines of a plan in blocks; that of the last plan is at hand."""
        code = plan.tobytes()
        last = self._last
        if last is None or last[0] != code:
            self._last = last = code, _Work(list(self._jobs(plan)), list(self._alone(plan)))
        return last[1]

    def _jobs(self, plan: Plan) -> Iterator[_Job]:
        layout = self.layout
        distance = layout.k[:, None, :] - plan["split"].T[..., None]
        sides = np.stack(sides_of(distance, plan["near"].transpose(1, 0, 2) >= 0))
        rows, side, band = np.nonzero(plan["line"] >= 0)
        if not rows.size:
            return
        for block in blocks(plan["line"][rows, side, band], band, layout.counts, _TERMS_AT_ONCE):
            row, bands = rows[block.members], band[block.members]
            if len({run.band for run in block.runs}) == 1:
                bands = bands[:1]
            step = np.arange(layout.counts[bands].max())[:, None]
            t = np.minimum(layout.starts[bands] + step, len(layout.maturities) - 1)
            mask = sides[side[block.members], t, row] & (step < layout.counts[bands])[..., None]
            positions = np.nonzero(mask)
            times, items, strikes = positions
            quotes = layout.quotes[np.broadcast_to(t, mask.shape[:2])[times, items], strikes]
            maturities = layout.maturities[t][..., None]
            yield _Job(block, row, maturities, positions, row[items], quotes)

    def _alone(self, plan: Plan) -> Iterator[_Alone]:
        codes = plan["near"]
        rows, t, strikes = np.nonzero(codes >= 0)
        if not rows.size:
            return
        one = np.ones(1, dtype=np.intp)
        for block in blocks(codes[rows, t, strikes], np.zeros_like(rows), one, _TERMS_AT_ONCE):
            row, at = rows[block.members], (t[block.members], strikes[block.members])
            times = self.layout.maturities[at[0]][None, :, None]
            k, quotes = self.layout.k[at][:, None], self.layout.quotes[at]
            yield _Alone(block, row, times, k, quotes)

    def _price(
        self, model: Integrand, params: Floats, job: _Job, out: Floats, least: Floats | None
    ) -> None:
        """Put the integrals of a block, and derivatives if there is room, into the result."""
        log_phi, slopes = self._log_phi(model, params, job, gradient=out.shape[1] > 1)
        lost = None
        if least is not None:
            lost = ~(self._log_ends(model, log_phi, job) < least[job.rows])
        terms = self._terms(model, job, log_phi, slopes)
        sums = np.empty((*terms.shape[:3], self.layout.k.shape[1]))
        for run in job.block.runs:
            self._sum(terms, run, sums)
        times, items, strikes = job.positions
        found = sums[times, items, :, strikes]
        if lost is not None:
            found[lost] = np.nan
        out[job.rows, :, job.quotes] = found

    def _log_phi(
        self, model: Integrand, params: Floats, job: _Job, gradient: bool
    ) -> tuple[Complex, list[Complex]]:
        """Log phi (t, n, m) at the nodes of a block, and its derivatives.

        Where it is proportional to maturity, that for one year: (1, n, m).
        """
        times = _ONE_YEAR if model.has_stationary_increments else job.times
        return model.kernel(job.block.u - 0.5j, params[job.sets], gradient)(times)

    def _log_ends(self, model: Integrand, log_phi: Complex, job: _Job) -> Floats:
        """Logarithm of the integrand's size at the end of the line, by position."""
        times, items, _ = job.positions
        last, u, weight = job.block.ends
        end = log_phi.real[:, np.arange(len(last)), last]
        if model.has_stationary_increments:
            end = end * job.times[..., 0]
        log_size = end + np.log(np.abs(weight))
        decay = (u.imag[items] + 0.5) * self.layout.k_of_quote[job.quotes]
        return log_size[times, items] - decay

    def _terms(
        self, model: Integrand, job: _Job, log_phi: Complex, slopes: list[Complex]
    ) -> Complex:
        """Phi and its derivatives (t, n, layers, m) at the nodes of a block."""
        if model.has_stationary_increments:
            even = self.layout.even[job.block.runs[0].band]
            phi = _powers(log_phi[0], job.times, even)
        else:
            phi = exp(_clipped(log_phi))
        if not slopes:
            return phi[:, :, None]
        t, n, m = phi.shape
        terms = np.empty((t, n, 1 + len(slopes), m), dtype=np.complex128)
        terms[:, :, 0] = phi
        if model.has_stationary_increments:
            phi *= job.times
        for layer, slope in enumerate(slopes, start=1):
            np.multiply(phi, slope, out=terms[:, :, layer])
        return terms

    def _sum(self, terms: Complex, run: Run, sums: Floats) -> None:
        """Sum the terms of a run along its line, one matrix product for each maturity."""
        n_times, size = self.layout.counts[run.band], 2 * run.n_nodes
        own = terms.view(np.float64)[:n_times, run.items]
        out = sums[:n_times, run.items]
        np.matmul(
            own.reshape(n_times, -1, own.shape[-1])[..., :size],
            self._table(run),
            out=out.reshape(n_times, -1, out.shape[-1]),
        )

    def _table(self, run: Run) -> Floats:
        """Weights exp(iuk - k/2) du / (u^2 + 1/4) of a line, as a real matrix per maturity.

        Real and imaginary parts alternate along the nodes, as they do in the memory of
        a complex array, so that the real part of a complex sum is one real product.
        """
        key = (run.band, run.line.angle, run.line.step)
        table = self._tables.get(key)
        known = 0 if table is None else table.shape[1] // 2
        if table is None or known < run.n_nodes:
            rest = _table(self.layout.k[self.layout.bands[run.band]], run, known)
            table = rest if table is None else np.concatenate([table, rest], axis=1)
            # Listed first: another thread may add one.
            if sum(kept.size for kept in list(self._tables.values())) > _MOST_KEPT:
                self._tables = {}
            self._tables[key] = table
        return table[:, : 2 * run.n_nodes]

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_tables": {}, "_last": None}


def _table(k: Floats, run: Run, first: int) -> Floats:
    """Weights of the nodes of a line, from the first that is asked for."""
    u, weight = (part[first : run.n_nodes] for part in nodes(*run.line[:2]))
    exponent = (1j * u - 0.5)[:, None] * k[:, None, :] + np.log(weight)[:, None]
    terms = exp(_clipped(exponent))
    pairs = np.empty((*terms.shape[:2], 2, terms.shape[2]))
    pairs[:, :, 0] = terms.real
    np.negative(terms.imag, out=pairs[:, :, 1])
    return pairs.reshape(len(k), 2 * len(u), -1)


def _powers(psi: Complex, times: Floats, even: Bools) -> Complex:
    """Return exp(T psi) at all maturities; equally spaced ones are a geometric progression."""
    spread = times.shape[1] > 1
    if spread or not even.any() or times[-1].item() * psi.real.max(initial=0.0) > OVERFLOW:
        return exp(_clipped(times * psi))
    phi = np.empty((len(times), *psi.shape), dtype=np.complex128)
    starts = np.append(even[1:], False)
    for t, time in enumerate(times.ravel().tolist()):
        if t and (even[t] or starts[t]):
            if not even[t]:
                ratio = exp((time - times[t - 1].item()) * psi)
            np.multiply(phi[t - 1], ratio, out=phi[t])
        else:
            phi[t] = exp(time * psi)
    return phi


def _clipped(exponent: Complex) -> Complex:
    """Cut the real part off, in place, where exp would overflow."""
    np.minimum(exponent.real, OVERFLOW, out=exponent.real)
    return exponent


def _price_alone(
    model: Integrand, params: Floats, alone: _Alone, out: Floats, least: Floats | None
) -> None:
    """What `_price` does, for one strike each."""
    terms, slopes = _terms_alone(model, params, alone, gradient=out.shape[1] > 1)
    for layer, factor in enumerate([np.ones(1), *slopes]):
        out[alone.sets, layer, alone.quotes] = (terms * factor).sum(axis=-1).real
    if least is not None:
        ends = np.log(np.abs(terms[np.arange(len(terms)), alone.block.ends[0]]))
        out[alone.sets[~(ends < least[alone.sets])]] = np.nan


def _terms_alone(
    model: Integrand, params: Floats, alone: _Alone, gradient: bool
) -> tuple[Complex, list[Complex]]:
    """Terms (n, m) of the sums for one strike each, and the derivatives of log phi."""
    u = alone.block.u
    log_phi, slopes = model.kernel(u - 0.5j, params[alone.sets], gradient)(alone.times)
    terms = alone.block.weights * exp(log_phi[0] + alone.k * (1j * u - 0.5))
    return terms, [np.broadcast_to(slope, log_phi.shape)[0] for slope in slopes]


def _errors(phi: Complex, table: Floats, step: float) -> tuple[Floats, Floats, Floats]:
    """What `_error` returns, for the sums over nodes of phi with a table of weights."""
    pairs = table.reshape(len(table), -1, 2, table.shape[-1])
    sums = [
        every
        * np.ascontiguousarray(phi[..., ::every]).view(np.float64)
        @ pairs[:, ::every].reshape(len(table), -1, table.shape[-1])
        for every in (1, 2, 4)
    ]
    size, weight = np.abs(phi), np.hypot(pairs[:, :, 0], pairs[:, :, 1])
    tail = size[..., -1:] * weight[:, None, -1] / step
    return _error(sums, size @ weight, tail)


def _errors_alone(terms: Complex, step: float) -> Floats:
    """Estimated errors of sums of terms (n, m)."""
    sums = [every * terms[:, ::every].sum(axis=-1).real for every in (1, 2, 4)]
    size = np.abs(terms)
    return _extrapolated(*_error(sums, size.sum(axis=-1), size[:, -1] / step))


def _error(sums: list[Floats], size: Floats, tail: Floats) -> tuple[Floats, Floats, Floats]:
    """Errors of the trapezoid sums with steps 2h and 4h; cut-off and rounding of that with h."""
    full, half, quarter = sums
    return np.abs(full - half), np.abs(half - quarter), tail + _ROUNDING * (1.0 + size)


def _extrapolated(coarse: Floats, coarser: Floats, rest: Floats) -> Floats:
    """Error of the sum with step h, from those of the coarser sums.

    For analytic integrands the error at step h is exp(-c/h): its decrease is continued. The
    factor covers what oscillates about that law.
    """
    decrease = np.minimum(coarse / np.maximum(coarser, 1e-300), 1.0)
    return 10 * coarse * decrease**2 + rest
