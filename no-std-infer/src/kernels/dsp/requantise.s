    // Requantises \x, twice a sum with its bias, into \t: \m mantissa, \c rounding, \r shift. The files that use it forget
    // it at their end.
    .syntax unified
    .macro nsi_requantise x, t, m=r10, c=r11, r=r12
    smmlar \t, \x, \m, \c
    add \t, \t, \x, asr #31
    asr \t, \t, \r
    ssat \t, #8, \t
    .endm
