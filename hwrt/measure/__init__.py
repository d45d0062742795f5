"""How time is taken and judged; what the bench, the tuner and ``hwrt explain`` share.

Nothing here prints.  Times are seconds as floats; a clock is a function that returns nanoseconds
as an integer.
"""
