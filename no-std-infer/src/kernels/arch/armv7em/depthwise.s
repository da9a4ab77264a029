    // Depthwise 3x3 convolution, channel by channel: the channel's elements are gathered into a plane, then multiplied,
    // two columns at a time; with stride 1 also two rows at a time.
    // r0: arguments: 0 plane's target, 4 columns to gather, 8 bytes from input row to input row, 12 rows to gather,
    //   16 plane, 20 output's rows, 24 odd column (0 or 1), 28 bytes of a plane row that full pairs of columns take,
    //   32 plane's pitch, 36 bytes from output row to output row, 40 channels, 44 source, 48 output, 52 weights,
    //   56 parameters, 60 channels to compute; those from 44 to 56 move on from channel to channel.
    // Frame: 0 mantissa, 4 rounding, 8 shift, 12 bytes from column to column (0 for one alone), 16 bytes to the second
    //   row (0 when there is none), 20 and 24 weights, 28 end of the row, 32 doubled bias, 36 plane row, 40 output row,
    //   44 rows left, 48 channels left, 52 the arguments, 56 and 60 their 28 and 24.

    // Widens the word \x: r4 columns 0 and 2, r5 columns 1 and 3.
    .macro nsi_widen x
    sxtb16 r5, \x, ror #8
    sxtb16 r4, \x
    .endm
    // Adds a row's products to the sums \a and \b of two neighbours: \outer holds weights 0 and 2, the half \half of
    // \inner weight 1.
    .macro nsi_row a, b, outer, inner, half
    smlad \a, r4, \outer, \a
    smlad \b, r5, \outer, \b
    smlab\half \a, r5, \inner, \a
    smlat\half \b, r4, \inner, \b
    .endm
    // The same for the sums' first row: they start from \bias, which may be \a.
    .macro nsi_first_row a, b, bias
    smlad \b, r5, r6, \bias
    smlad \a, r4, r6, \bias
    smlabb \a, r5, r9, \a
    smlatb \b, r4, r9, \b
    .endm

    // Two rows by two columns with stride 1. r6-r10 weights, r11 plane, r12 pitch, lr output. What is not wanted of
    // them is written first, and then written over.
    .macro nsi_block_1
    ldr r4, [r11]
    ldr r3, [r11, r12]
    ldr r2, [sp, #32]
    nsi_widen r4
    nsi_first_row r0, r1, r2
    nsi_widen r3
    nsi_row r0, r1, r7, r9, t
    nsi_first_row r2, r3, r2
    ldr r4, [r11, r12, lsl #1]
    nsi_widen r4
    nsi_row r0, r1, r8, r10, b
    nsi_row r2, r3, r7, r9, t
    add r5, r11, r12
    ldr r4, [r5, r12, lsl #1]
    nsi_widen r4
    nsi_row r2, r3, r8, r10, b
    ldm sp, {r4, r5, r9}
    nsi_requantise r3, r10, r4, r5, r9
    nsi_requantise r2, r3, r4, r5, r9
    nsi_requantise r1, r2, r4, r5, r9
    nsi_requantise r0, r1, r4, r5, r9
    ldrd r4, r5, [sp, #12]
    add r5, lr, r5
    strb r10, [r5, r4]
    strb r3, [r5]
    strb r2, [lr, r4]
    strb r1, [lr]
    add lr, lr, r4, lsl #1
    ldrd r9, r10, [sp, #20]
    ldr r4, [sp, #28]
    add r11, r11, #2
    cmp r11, r4
    .endm

    // Two columns with stride 2: five columns of three rows. r3 is column 4.
    .macro nsi_row_2 outer, inner, half
    nsi_widen r2
    smlad r0, r4, \outer, r0
    smlatb r1, r4, \outer, r1
    smlab\half r0, r5, \inner, r0
    smlat\half r1, r5, \inner, r1
    smlabt r1, r3, \outer, r1
    .endm
    .macro nsi_block_2
    ldr r2, [r11]
    ldrsb r3, [r11, #4]
    ldr r0, [sp, #32]
    mov r1, r0
    nsi_row_2 r6, r9, b
    add r4, r11, r12
    ldr r2, [r4]
    ldrsb r3, [r4, #4]
    nsi_row_2 r7, r9, t
    add r4, r11, r12, lsl #1
    ldr r2, [r4]
    ldrsb r3, [r4, #4]
    nsi_row_2 r8, r10, b
    ldm sp, {r2-r5}
    nsi_requantise r1, r10, r2, r3, r4
    nsi_requantise r0, r1, r2, r3, r4
    strb r10, [lr, r5]
    strb r1, [lr]
    add lr, lr, r5, lsl #1
    ldr r10, [sp, #24]
    ldr r4, [sp, #28]
    add r11, r11, #4
    cmp r11, r4
    .endm

    // Copies the elements of four columns, channels apart, to byte \first of the plane row.
    .macro nsi_gather_4 first
    ldrb r6, [r0]
    ldrb r7, [r0, r2]
    ldrb r8, [r0, r2, lsl #1]
    ldrb r9, [r0, r3]
    add r0, r0, r2, lsl #2
    strb r6, [r1, #\first]
    strb r7, [r1, #(\first + 1)]
    strb r8, [r1, #(\first + 2)]
    strb r9, [r1, #(\first + 3)]
    .endm

    .macro nsi_depthwise name, stride
    nsi_function \name
    nsi_enter 11, 68
    str r0, [sp, #52]
    ldr r1, [r0, #60]
    str r1, [sp, #48]
    ldrd r1, r2, [r0, #24]
    strd r2, r1, [sp, #56]

    // A channel's plane. r0 source, r1 target, r2 channels, r3 3 * channels, r4 rows, r5 rest of a source row,
    // r10 columns, r12 rest of a plane row.
1:  ldr lr, [sp, #52]
    ldr r0, [lr, #44]
    add r3, r0, #1
    str r3, [lr, #44]
    ldr r2, [lr, #40]
    ldr r12, [lr, #32]
    ldm lr, {r1, r10}
    ldrd r5, r4, [lr, #8]
    add r3, r2, r2, lsl #1
    mls r5, r10, r2, r5
    sub r12, r12, r10
2:  lsrs r11, r10, #3
    beq 4f
3:  nsi_gather_4 0
    nsi_gather_4 4
    add r1, r1, #8
    subs r11, r11, #1
    bne 3b
4:  ands r11, r10, #7
    beq 6f
    tst r10, #4
    beq 5f
    nsi_gather_4 0
    add r1, r1, #4
    ands r11, r10, #3
    beq 6f
5:  ldrb r6, [r0]
    add r0, r0, r2
    strb r6, [r1], #1
    subs r11, r11, #1
    bne 5b
6:  add r0, r0, r5
    add r1, r1, r12
    subs r4, r4, #1
    bne 2b

    // Its weights, doubled, and parameters.
    ldr r0, [lr, #52]
    ldm r0!, {r1-r3}
    str r0, [lr, #52]
    sxtb16 r6, r1
    sxtb16 r7, r1, ror #8
    sxtb16 r8, r2
    sxtb16 r9, r2, ror #8
    sxtb r10, r3
    sadd16 r6, r6, r6
    sadd16 r7, r7, r7
    sadd16 r8, r8, r8
    sadd16 r9, r9, r9
    lsl r10, r10, #1
    strd r9, r10, [sp, #20]
    ldr r0, [lr, #56]
    ldm r0!, {r1-r4}
    str r0, [lr, #56]
    str r1, [sp, #32]
    strd r2, r3, [sp]
    str r4, [sp, #8]
    ldr r11, [lr, #16]
    ldr r12, [lr, #32]
    ldr r0, [lr, #48]
    add r1, r0, #1
    str r1, [lr, #48]
    strd r11, r0, [sp, #36]
    ldr r0, [lr, #20]
    str r0, [sp, #44]
    ldrd r1, r2, [lr, #36]
    .if \stride == 1
    cmp r0, #1
    it eq
    moveq r1, #0
    .endif
    strd r2, r1, [sp, #12]

    // Its rows.
7:  ldrd r11, lr, [sp, #36]
    ldr r1, [sp, #56]
    add r4, r11, r1
    str r4, [sp, #28]
    cmp r1, #0
    beq 9f
8:  nsi_block_\stride
    blo 8b
    bhi 10f
    // The odd column: together with its neighbour once more, or else alone.
9:  ldr r1, [sp, #60]
    cbz r1, 10f
    ldr r2, [sp, #12]
    ldr r3, [sp, #56]
    cmp r3, #0
    it eq
    streq r3, [sp, #12]
    beq 8b
    sub r11, r11, #\stride
    sub lr, lr, r2
    b 8b
10: ldr r0, [sp, #52]
    ldrd r1, r2, [sp, #36]
    ldr r3, [r0, #36]
    add r1, r1, r12, lsl #1
    .if \stride == 1
    add r2, r2, r3, lsl #1
    .else
    add r2, r2, r3
    .endif
    strd r1, r2, [sp, #36]
    ldr r1, [sp, #44]
    subs r1, r1, #(3 - \stride)
    ble 11f
    str r1, [sp, #44]
    .if \stride == 1
    cmp r1, #1
    bne 7b
    mov r1, #0
    str r1, [sp, #16]
    .endif
    b 7b
11: ldr r1, [sp, #48]
    subs r1, r1, #1
    str r1, [sp, #48]
    bne 1b
    nsi_leave 11, 68
    nsi_end \name
    .endm

    nsi_depthwise no_std_infer_depthwise_1, 1
    nsi_depthwise no_std_infer_depthwise_2, 2

    .purgem nsi_widen
    .purgem nsi_row
    .purgem nsi_first_row
    .purgem nsi_block_1
    .purgem nsi_row_2
    .purgem nsi_block_2
    .purgem nsi_gather_4
    .purgem nsi_depthwise
