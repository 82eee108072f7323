"""Networks that leave as NumPy arrays."""

from __future__ import annotations

from typing import Any

__all__ = ["KeepsNetwork"]


class KeepsNetwork:
    """Mixin of estimators that have a network, which answers in double precision.

    Weights leave as NumPy arrays: no torch is needed to read them, nor any device. A subclass
    implements `_build`.
    """

    _module: Any  # the network, in double precision

    def _build(self) -> Any:
        """Return the network, its weights drawn by torch's generator."""
        raise NotImplementedError

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())  # type: ignore[call-overload]
        if state.get("_module") is not None:
            from levylearn.calibration._torch.networks import weights_of

            state["_module"] = weights_of(state["_module"])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)  # type: ignore[misc]
        if getattr(self, "_module", None) is not None:
            self._module = self._ready(self._module)

    def _ready(self, weights: dict[str, Any]) -> Any:
        import torch

        from levylearn.calibration._torch.networks import load_weights

        with torch.random.fork_rng():  # the first weights are drawn, if only to be replaced
            module = self._build().double()
        return load_weights(module, weights).eval()
