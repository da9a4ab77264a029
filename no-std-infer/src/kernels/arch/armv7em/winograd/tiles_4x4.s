    // Transforms two tiles of 6 x 6 inputs, four columns apart.
    // r0: arguments: 0 first row, 4 bytes between rows, 8 columns, 12 bytes between columns, 16 panel, 20 groups of four
    //     channels (1 or more)
    // On the stack: 0 end of the columns, 4 bytes between columns, 8 columns, 12 first row, 16 groups to do, 20 panel,
    //     24 bytes between elements, 28 bytes between rows, 32 end of the columns' rows

    // Vertically, two channels of rows 0, 2 and 4 in r4-r6: element 0, and what the others take of these rows: \p for
    // elements 1 and 2, \a for 3 and 4. A row of the result has ten columns of 4 bytes.
    .macro nsi_even at, p, a, rotation
    sxtb16 r11, r5, ror #\rotation
    sxtb16 r12, r6, ror #\rotation
    sxtb16 lr, r4, ror #\rotation
    sadd16 \p, r11, r11
    sadd16 \p, \p, \p
    ssub16 \p, r12, \p
    ssub16 \a, r12, r11
    ssub16 lr, lr, r11
    sadd16 lr, lr, lr
    sadd16 lr, lr, lr
    sadd16 lr, lr, \a
    str lr, [r3, #\at]
    .endm
    // The same of rows 1 and 3 in r4 and r5, and row 5, which is read into r6 if \read is 1: elements 1 to 5. \t is free.
    .macro nsi_odd at, p, a, t, read, rotation
    sxtb16 r11, r4, ror #\rotation
    sxtb16 r12, r5, ror #\rotation
    sadd16 lr, r11, r11
    sadd16 lr, lr, lr
    ssub16 lr, r12, lr
    sadd16 \t, \p, lr
    ssub16 \p, \p, lr
    str \t, [r3, #(\at + 40)]
    str \p, [r3, #(\at + 80)]
    ssub16 r11, r11, r12
    sadd16 r11, r11, r11
    ssub16 \t, \a, r11
    sadd16 \a, \a, r11
    str \t, [r3, #(\at + 120)]
    str \a, [r3, #(\at + 160)]
    sadd16 r11, r11, r11
    ssub16 r11, r11, r12
    .if \read
    ldr r6, [r1, r2, lsl #1]
    .endif
    sxtab16 r11, r11, r6, ror #\rotation
    str r11, [r3, #(\at + 200)]
    .endm
    // Horizontally, six columns from r0 on; r1 and r2 elements 0 and 3 of the row in the panel, r3 bytes between elements.
    .macro nsi_horizontal
    ldm r0, {r4-r9}
    sadd16 r10, r6, r6
    sadd16 r10, r10, r10
    ssub16 r10, r8, r10
    sadd16 r11, r5, r5
    sadd16 r11, r11, r11
    ssub16 r11, r7, r11
    sadd16 r12, r10, r11
    ssub16 r10, r10, r11
    str r12, [r1, r3]
    str r10, [r1, r3, lsl #1]
    ssub16 r4, r4, r6
    ssub16 r8, r8, r6
    sadd16 r4, r4, r4
    sadd16 r4, r4, r4
    sadd16 r4, r4, r8
    str r4, [r1]
    ssub16 r5, r5, r7
    sadd16 r5, r5, r5
    ssub16 r10, r8, r5
    sadd16 r8, r8, r5
    str r10, [r2]
    str r8, [r2, r3]
    sadd16 r5, r5, r5
    ssub16 r5, r5, r7
    sadd16 r5, r5, r9
    str r5, [r2, r3, lsl #1]
    .endm
    .macro nsi_move source, target
    add r0, r0, #\source
    add r1, r1, #\target
    add r2, r2, #\target
    .endm

    nsi_function no_std_infer_tiles_4x4
    nsi_tiles_begin 40, 240
    nsi_tiles_group
2:  ldr r4, [r0]
    ldr r5, [r0, r2, lsl #1]
    ldr r6, [r1, r2]
    nsi_even 0, r7, r8, 0
    nsi_even 240, r9, r10, 8
    ldr r4, [r0, r2]
    ldr r5, [r1]
    nsi_odd 0, r7, r8, r6, 1, 0
    nsi_odd 240, r9, r10, r7, 0, 8
    nsi_tiles_next_column

    // Row by row, both pairs of channels of both tiles.
    ldr r0, [sp, #8]
    ldrd r1, r3, [sp, #20]
    add r2, r3, r3, lsl #1
    lsl lr, r2, #1
    sub lr, lr, #20
    add r2, r2, r1
3:  nsi_horizontal
    nsi_move 16, 4
    nsi_horizontal
    nsi_move 224, 12
    nsi_horizontal
    nsi_move 16, 4
    nsi_horizontal
    sub r0, r0, #216
    add r1, r1, lr
    add r2, r2, lr
    ldr r4, [sp, #32]
    cmp r0, r4
    bne 3b

    nsi_tiles_finish
    nsi_end no_std_infer_tiles_4x4
    .purgem nsi_even
    .purgem nsi_odd
    .purgem nsi_horizontal
    .purgem nsi_move
