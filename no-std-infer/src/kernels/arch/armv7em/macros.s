    .if nsi_fpu
    .fpu fpv4-sp-d16
    .endif
    // Requantises \x, twice a sum with its bias, into \t: \m mantissa, \c rounding, \r shift. With \to the result goes
    // there, which may be \x.
    .macro nsi_requantise x, t, m=r10, c=r11, r=r12, to
    smmlar \t, \x, \m, \c
    add \t, \t, \x, asr #31
    asr \t, \t, \r
    .ifb \to
    ssat \t, #8, \t
    .else
    ssat \to, #8, \t
    .endif
    .endm
