import platform

import numpy as np

from hwrt.machine.versions import versions


def test_python_and_numpy_are_always_told():
    assert versions() == {"python": platform.python_version(), "numpy": np.__version__}


def test_a_distribution_that_is_not_installed_has_no_version():
    assert versions(["no-such-distribution"])["no-such-distribution"] is None
