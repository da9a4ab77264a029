    // Depthwise 3x3 convolution, channel by channel: the channel's elements are gathered into a plane, then multiplied,
    // two columns and several rows at a time.
    // r0: arguments: 0 plane's target, 4 columns to gather, 8 bytes from input row to input row, 12 rows to gather,
    //   16 plane, 20 output's rows, 24 odd column (0 or 1), 28 bytes of a plane row that full pairs of columns take,
    //   32 plane's pitch, 36 bytes from output row to output row, 40 channels, 44 source, 48 output, 52 weights,
    //   56 parameters, 60 channels to compute, 64 rows that are computed together: with stride 1 3 or 2, or 1 where there is
    //   but one; with stride 2 2 or 1. Those from 44 to 56 move on from channel to channel.
    // The larger of these numbers of rows is for outputs whose zero point is the least value.
    // Constants, in floating-point registers or else in the frame: 0 doubled bias, 1 mantissa, 2 rounding, 3 shift, 4 lowest
    //   output, 5 bytes from column to column (0 for one alone), 6 from row to row (0 for one alone), 7 from the highest output
    //   to the lowest one of the next columns, 8 end of the plane row, 9 plane row, 10 its lowest output, 11 rows left,
    //   12, 13, 14 one, three and four times the pitch (three: 0 for one row alone).
    // Frame: 0 arguments, 4 channels left; without a floating-point unit, 64 bytes of constants below.
    // r6-r10 weights, lr plane.
    .if nsi_fpu
    .set nsi_constants, 0
    .else
    .set nsi_constants, 64
    .endif
    .macro nsi_get register, constant
    .if nsi_fpu
    vmov \register, s\constant
    .else
    ldr \register, [sp, #(4 * \constant)]
    .endif
    .endm
    .macro nsi_put constant, register
    .if nsi_fpu
    vmov s\constant, \register
    .else
    str \register, [sp, #(4 * \constant)]
    .endif
    .endm

    // Widens the word \x: r11 columns 0 and 2, r12 columns 1 and 3.
    .macro nsi_widen x
    sxtb16 r11, \x
    sxtb16 r12, \x, ror #8
    .endm
    // Adds a row's products to the sums \a and \b of two neighbours: \outer holds weights 0 and 2, the half \half of
    // \inner weight 1.
    .macro nsi_row_1 a, b, outer, inner, half
    smlad \a, r11, \outer, \a
    smlad \b, r12, \outer, \b
    smlab\half \a, r12, \inner, \a
    smlat\half \b, r11, \inner, \b
    .endm
    // The same for the sums' first row: they start from the bias, which is in \b.
    .macro nsi_first_row_1 a, b
    smlad \a, r11, r6, \b
    smlad \b, r12, r6, \b
    smlabb \a, r12, r9, \a
    smlatb \b, r11, r9, \b
    .endm
    // The row \constant / pitch of the plane.
    .macro nsi_load_1 constant
    nsi_get r12, \constant
    ldr r12, [lr, r12]
    nsi_widen r12
    .endm
    // Requantises \sums. \floor is 1 where the output's zero point is the least value: then what differs from the rounding
    // of a negative tie is clamped. Otherwise r4 is free.
    .macro nsi_outputs floor, sums:vararg
    nsi_get r11, 1
    nsi_get r12, 2
    .irp sum, \sums
    .if \floor
    smmlar \sum, \sum, r11, r12
    .else
    smmlar r4, \sum, r11, r12
    add \sum, r4, \sum, asr #31
    .endif
    .endr
    nsi_get r11, 3
    .irp sum, \sums
    asr \sum, \sum, r11
    .endr
    .irp sum, \sums
    ssat \sum, #8, \sum
    .endr
    nsi_get r12, 4
    nsi_get r11, 5
    .endm
    // Goes on to the next \columns columns of the plane.
    .macro nsi_next columns
    nsi_get r1, 7
    nsi_get r0, 8
    add lr, lr, #\columns
    add r12, r12, r1
    nsi_put 4, r12
    cmp lr, r0
    .endm

    // \rows rows by two columns with stride 1. What is not wanted of them is written first, and then written over.
    .macro nsi_block_1 rows, floor
    nsi_get r5, 12
    nsi_get r1, 0
    ldr r12, [lr]
    ldr r4, [lr, r5]
    ldr r5, [lr, r5, lsl #1]
    nsi_widen r12
    nsi_first_row_1 r0, r1
    nsi_widen r4
    nsi_get r3, 0
    nsi_row_1 r0, r1, r7, r9, t
    nsi_first_row_1 r2, r3
    nsi_widen r5
    nsi_row_1 r0, r1, r8, r10, b
    nsi_row_1 r2, r3, r7, r9, t
    .if \rows == 3
    nsi_get r5, 0
    nsi_first_row_1 r4, r5
    .endif
    nsi_load_1 13
    nsi_row_1 r2, r3, r8, r10, b
    .if \rows == 3
    nsi_row_1 r4, r5, r7, r9, t
    nsi_load_1 14
    nsi_row_1 r4, r5, r8, r10, b
    nsi_outputs \floor, r0, r1, r2, r3, r4, r5
    strb r5, [r12, r11]
    strb r4, [r12]
    nsi_get r4, 6
    sub r12, r12, r4
    .else
    nsi_outputs \floor, r0, r1, r2, r3
    nsi_get r4, 6
    .endif
    strb r3, [r12, r11]
    strb r2, [r12]
    sub r12, r12, r4
    strb r1, [r12, r11]
    strb r0, [r12]
    nsi_next 2
    .endm

    // The same with stride 2: five columns. r5 is column 4.
    .macro nsi_load_2 row
    ldr r12, [\row]
    ldrsb r5, [\row, #4]
    nsi_widen r12
    .endm
    .macro nsi_row_2 a, b, outer, inner, half, bias_a, bias_b
    smlad \a, r11, \outer, \bias_a
    smlatb \b, r11, \outer, \bias_b
    smlab\half \a, r12, \inner, \a
    smlat\half \b, r12, \inner, \b
    smlabt \b, r5, \outer, \b
    .endm
    .macro nsi_block_2 rows, floor
    nsi_get r2, 12
    nsi_get r1, 0
    nsi_load_2 lr
    nsi_row_2 r0, r1, r6, r9, b, r1, r1
    add r4, lr, r2
    nsi_load_2 r4
    nsi_row_2 r0, r1, r7, r9, t, r0, r1
    add r4, lr, r2, lsl #1
    nsi_load_2 r4
    nsi_row_2 r0, r1, r8, r10, b, r0, r1
    .if \rows == 2
    nsi_get r3, 0
    nsi_row_2 r2, r3, r6, r9, b, r3, r3
    nsi_get r4, 13
    add r4, lr, r4
    nsi_load_2 r4
    nsi_row_2 r2, r3, r7, r9, t, r2, r3
    nsi_get r4, 14
    add r4, lr, r4
    nsi_load_2 r4
    nsi_row_2 r2, r3, r8, r10, b, r2, r3
    nsi_outputs \floor, r0, r1, r2, r3
    nsi_get r4, 6
    strb r3, [r12, r11]
    strb r2, [r12]
    sub r12, r12, r4
    .else
    nsi_outputs \floor, r0, r1
    .endif
    strb r1, [r12, r11]
    strb r0, [r12]
    nsi_next 4
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

    // All rows of a channel, \rows at a time. Ends at \done.
    .macro nsi_rows_of_channel stride, rows, floor, done
    // r0 arguments, r12 output.
7:  nsi_put 10, r12
    nsi_put 4, r12
    nsi_put 9, lr
    ldrd r1, r2, [r0, #24]
    add r3, lr, r2
    nsi_put 8, r3
    cmp r2, #0
    beq 9f
8:  nsi_block_\stride \rows, \floor
    blo 8b
    bhi 10f
    // The odd column: together with its neighbour once more, or else alone.
    ldr r0, [sp, #nsi_constants]
    ldrd r1, r2, [r0, #24]
9:  cbz r1, 10f
    cmp r2, #0
    beq 8b
    nsi_get r1, 4
    nsi_get r2, 5
    sub lr, lr, #\stride
    sub r1, r1, r2
    nsi_put 4, r1
    b 8b
    // Next rows: of the last ones, as many as are left are new.
10: ldr r0, [sp, #nsi_constants]
    nsi_get r1, 11
    cmp r1, #0
    beq \done
    ldr r2, [r0, #64]
    cmp r1, r2
    it lo
    movlo r2, r1
    sub r1, r1, r2
    nsi_put 11, r1
    nsi_get lr, 9
    nsi_get r12, 10
    ldrd r3, r4, [r0, #32]
    mla r12, r2, r4, r12
    .if \stride == 2
    lsl r2, r2, #1
    .endif
    mla lr, r2, r3, lr
    b 7b
    .endm

    .macro nsi_depthwise name, stride
    nsi_function \name
    nsi_enter 11, (8 + nsi_constants)
    str r0, [sp, #nsi_constants]
    ldr r1, [r0, #60]
    str r1, [sp, #(nsi_constants + 4)]
    // What all channels share. r1 channels, r2 full pairs, r3 pitch, r4 output row, r5 rows together.
    ldr r1, [r0, #40]
    ldrd r2, r3, [r0, #28]
    ldr r4, [r0, #36]
    ldr r5, [r0, #64]
    nsi_put 12, r3
    add r6, r3, r3, lsl #1
    lsl r7, r3, #2
    .if \stride == 1
    cmp r5, #1
    itt eq
    moveq r4, #0
    moveq r6, #0
    .endif
    nsi_put 13, r6
    nsi_put 14, r7
    nsi_put 6, r4
    sub r5, r5, #1
    mul r5, r5, r4
    add r5, r5, r1, lsl #1
    nsi_put 7, r5
    cmp r2, #0
    it eq
    moveq r1, #0
    nsi_put 5, r1

    // A channel's plane. r0 source, r1 target, r2 channels, r3 3 * channels, r4 rows, r5 rest of a source row,
    // r10 columns, r12 rest of a plane row.
1:  ldr lr, [sp, #nsi_constants]
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
4:  tst r10, #4
    beq 5f
    nsi_gather_4 0
    add r1, r1, #4
5:  lsls r11, r10, #30
    beq 6f
    bpl 51f
    ldrb r6, [r0]
    ldrb r7, [r0, r2]
    add r0, r0, r2, lsl #1
    strb r6, [r1], #2
    strb r7, [r1, #-1]
    lsls r11, r11, #1
    beq 6f
51: ldrb r6, [r0]
    add r0, r0, r2
    strb r6, [r1], #1
6:  add r0, r0, r5
    add r1, r1, r12
    subs r4, r4, #1
    bne 2b

    // Its weights, doubled, and parameters.
    mov r0, lr
    ldr r5, [r0, #52]
    ldm r5!, {r1-r3}
    str r5, [r0, #52]
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
    ldr r5, [r0, #56]
    .if nsi_fpu
    vldmia r5!, {s0-s3}
    .else
    ldm r5!, {r1-r4}
    stm sp, {r1-r4}
    .endif
    str r5, [r0, #56]
    ldrd lr, r1, [r0, #16]
    ldr r2, [r0, #64]
    sub r1, r1, r2
    nsi_put 11, r1
    ldr r12, [r0, #48]
    add r1, r12, #1
    str r1, [r0, #48]
    sub r3, r2, #1
    nsi_get r4, 6
    mla r12, r3, r4, r12
    cmp r2, #(4 - \stride)
    bne 12f
    nsi_rows_of_channel \stride, (4 - \stride), 1, 11f
12: nsi_rows_of_channel \stride, (3 - \stride), 0, 11f
11: ldr r1, [sp, #(nsi_constants + 4)]
    subs r1, r1, #1
    str r1, [sp, #(nsi_constants + 4)]
    bne 1b
    nsi_leave 11, (8 + nsi_constants)
    nsi_end \name
    .endm

    nsi_depthwise no_std_infer_depthwise_1, 1
    nsi_depthwise no_std_infer_depthwise_2, 2

    .irp name, get, put, widen, row_1, first_row_1, load_1, outputs, next, block_1, load_2, row_2, block_2, gather_4
    .purgem nsi_\name
    .endr
    .purgem nsi_rows_of_channel
    .purgem nsi_depthwise
