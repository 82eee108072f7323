"""Complex functions in real arithmetic: every digit, everywhere."""

import mpmath as mp
import numpy as np
import pytest

from levylearn.models import _complex

POINTS = [
    *(
        size * np.exp(1j * angle)
        for size in (1e-9, 1e-3, 0.5, 3.0, 1e4)
        for angle in (0.1, 2, -2.9)
    ),
    *(-1 + size * np.exp(1j * angle) for size in (1e-12, 1e-6, 0.1, 0.6) for angle in (0.3, -1.8)),
    -1.5 + 1e-9j,
    -1.5 - 1e-9j,
]


@pytest.mark.parametrize("name", ["expm1", "log1p", "sqrt"])
def test_against_mpmath(name):
    z = np.array([z for z in POINTS if not (name == "expm1" and abs(z) > 100)])
    found = getattr(_complex, name)(z)
    with mp.workdps(40):
        exact = [mp.mpc(complex(value)) for value in z]
        function = {"expm1": mp.expm1, "log1p": lambda v: mp.log(1 + v), "sqrt": mp.sqrt}[name]
        expected = np.array([complex(function(value)) for value in exact])
    np.testing.assert_allclose(found, expected, rtol=4e-15)


def test_square_root_of_zero():
    np.testing.assert_array_equal(_complex.sqrt(np.array([0j, -4 + 0j])), [0, 2j])
