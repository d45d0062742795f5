"""How time is taken and judged; what the bench and the tuner share.

Nothing here prints.  Times are seconds as floats; a clock is a function that returns nanoseconds
as an integer.
"""
