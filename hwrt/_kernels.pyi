# The compiled kernels.  Any thread may call them; the GIL is dropped while a kernel runs.
#
# A TypeError names a wrong dtype and a ValueError a wrong shape, layout or target, with the value.

import numpy as np
from numpy.typing import NDArray

# The targets that this machine can run, lowest first, up to HWRT_MAX_TARGET.
def targets() -> tuple[str, ...]: ...

# The target that kernels use: the highest of targets() within the limit.
def current_target() -> str: ...

# Lets kernels use no higher target, in every thread; None lifts the limit.  For tests.
def limit_target(name: str | None) -> None: ...

# Fills classes and scores (n, k) with the k best of each row of logits (n, C), as
# hwrt.vision.kernels.with_numpy.softmax_top_k does.  Rows lie at any stride that is a multiple of
# 4 bytes, the classes of a row next to each other.  The outputs are the caller's, C-contiguous, and
# share no memory with the logits.
def softmax_top_k(
    logits: NDArray[np.float32],
    classes: NDArray[np.int32],
    scores: NDArray[np.float32],
    softmax: bool,
) -> None: ...
