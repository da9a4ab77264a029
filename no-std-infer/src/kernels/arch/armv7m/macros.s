    // Requantises \x, twice a sum with its bias, into \high: the upper half of its product with the mantissa \m, rounded, and
    // the rounding \c more; less 1 for a negative sum; shifted by \r; saturated. \low is free.
    .macro nsi_requantise x, low, high, m, c, r
    smull \low, \high, \x, \m
    adds \low, \low, #0x80000000
    adc \high, \high, \c
    add \high, \high, \x, asr #31
    asr \high, \high, \r
    ssat \high, #8, \high
    .endm
