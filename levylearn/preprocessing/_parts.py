"""Equal parts of a model, which may be exchanged, in one order."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils import check_array

from levylearn.models import CharacteristicModel, get_model

__all__ = ["EqualParts", "order_parts"]

Floats = NDArray[np.float64]


def order_parts(params: ArrayLike, model: str | CharacteristicModel, order_by: str) -> Floats:
    """Put the equal parts of a model, such as the factors of Double Heston, into one order.

    The two factors may be exchanged without any price being different. A calibrator that finds
    them the other way round is right, and far off as errors of parameters go. So before
    parameters are compared, and before a regressor learns them, both sides are put into one
    order.

    Parameters
    ----------
    params : array-like of shape (n_samples, n_params)
        Parameter sets. Rows may be NaN, as for surfaces that could not be calibrated.
    model : str or CharacteristicModel
        Name of a registered model, or a model.
    order_by : str
        The parameter of a part, as ``"kappa"``, by which parts are put into decreasing order.

    Returns
    -------
    ordered : ndarray of shape (n_samples, n_params)
        The same models, written in one way.

    Raises
    ------
    ValueError
        If the model has no equal parts with such a parameter, or the columns are not its
        parameters.

    See Also
    --------
    ParameterTransformer : Does so on its way to coordinates.

    Examples
    --------
    >>> from levylearn.preprocessing import order_parts
    >>> params = [[0.04, 0.5, 0.05, 0.3, -0.5, 0.01, 3.0, 0.02, 0.4, -0.7]]
    >>> order_parts(params, "double_heston", order_by="kappa")
    array([[ 0.01,  3.  ,  0.02,  0.4 , -0.7 ,  0.04,  0.5 ,  0.05,  0.3 , -0.5 ]])
    """
    model = get_model(model)
    sets: Floats = check_array(
        params, dtype=np.float64, ensure_all_finite="allow-nan", input_name="params"
    )
    if sets.shape[1] != model.n_params:
        raise ValueError(
            f"params has {sets.shape[1]} columns, but {model.name!r} has {model.n_params} "
            f"parameters: {', '.join(model.parameter_names)}."
        )
    return EqualParts(model, order_by).ordered(sets)


class EqualParts:
    """Where the equal parts of a model are, and the parameter by which they are ordered.

    Parameters
    ----------
    model : CharacteristicModel
        The model.
    order_by : str
        A parameter of these parts.
    """

    def __init__(self, model: CharacteristicModel, order_by: str) -> None:
        parts = getattr(model, "parts", ())
        starts = np.cumsum([0, *(part.n_params for part in parts)])
        alike = [i for i, part in enumerate(parts) if order_by in part.parameter_names]
        if len(alike) < 2 or any(parts[i] != parts[alike[0]] for i in alike):
            raise ValueError(
                f"order_by must name a parameter of several equal parts of the model; "
                f"{model.name!r} has none of which {order_by!r} is one."
            )
        first = parts[alike[0]]
        # Of shape (n_parts, n): the columns of each.
        self._columns = np.array([starts[i] + np.arange(first.n_params) for i in alike])
        self._keys = self._columns[:, first.parameter_names.index(order_by)]

    def ordered(self, params: Floats) -> Floats:
        """Parameter sets with these parts in decreasing order of their key."""
        order = np.argsort(-params[:, self._keys], axis=1, kind="stable")
        ordered = params.copy()
        for place, columns in enumerate(self._columns):
            ordered[:, columns] = np.take_along_axis(params, self._columns[order[:, place]], axis=1)
        return ordered
