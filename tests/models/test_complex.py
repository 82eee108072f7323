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


@pytest.mark.parametrize("name", ["exp", "expm1", "log1p", "sqrt"])
def test_against_mpmath(name):
    z = np.array([z for z in POINTS if not (name in ("exp", "expm1") and abs(z) > 100)])
    found = getattr(_complex, name)(z)
    with mp.workdps(40):
        exact = [mp.mpc(complex(value)) for value in z]
        functions = {"exp": mp.exp, "expm1": mp.expm1, "sqrt": mp.sqrt}
        function = functions.get(name, lambda v: mp.log(1 + v))
        expected = np.array([complex(function(value)) for value in exact])
    np.testing.assert_allclose(found, expected, rtol=4e-15)


def test_exponentials_turn_in_every_direction():
    """Also where the tangent of half the angle is as large as it gets."""
    angles = np.concatenate([np.pi * np.arange(-9, 10), np.linspace(-40, 40, 1001), [1e6, 3e9]])
    z = np.array([-3.0, 0.0, 2.0])[:, None] + 1j * angles
    np.testing.assert_allclose(_complex.exp(z), np.exp(z), rtol=1e-14)
    difference = np.abs(_complex.expm1(z) - (np.exp(z) - 1))
    assert np.all(difference <= 4e-15 * (1 + np.exp(z.real)))


def test_square_root_of_zero():
    np.testing.assert_array_equal(_complex.sqrt(np.array([0j, -4 + 0j])), [0, 2j])
