    // Transforms four tiles of 5 x 5 inputs, four columns apart.
    // r0: arguments: 0 first row, 4 bytes between rows, 8 columns, 12 bytes between columns, 16 panel, 20 groups of four
    //     channels (1 or more)
    // On the stack: 0 end of the columns, 4 bytes between columns, 8 columns, 12 first row, 16 groups to do, 20 panel,
    //     24 bytes between elements, 28 bytes between rows, 32 end of the columns' rows

    // Vertically, two channels of rows 0-4 in r4-r8; lr is 0. A row of the result has 17 columns of 4 bytes.
    .macro nsi_vertical at, rotation
    sxtb16 r9, r6, ror #\rotation
    ssub16 r10, lr, r9
    sxtab16 r11, r10, r4, ror #\rotation
    sxtab16 r12, r10, r8, ror #\rotation
    sxtb16 r10, r5, ror #\rotation
    str r9, [r3, #\at]
    sxtb16 r9, r7, ror #\rotation
    str r11, [r3, #(\at + 68)]
    str r10, [r3, #(\at + 136)]
    str r12, [r3, #(\at + 204)]
    str r9, [r3, #(\at + 272)]
    .endm
    // Horizontally, two tiles: nine columns from r0 on; r1 element 0 of the row in the panel, and element 4 on return; r2
    // bytes between elements.
    .macro nsi_horizontal at
    ldm r0!, {r4-r12}
    strd r6, r10, [r1, #\at]
    ssub16 r4, r4, r6
    ssub16 r3, r8, r10
    add r1, r1, r2
    strd r4, r3, [r1, #\at]
    add r1, r1, r2
    strd r5, r9, [r1, #\at]
    ssub16 r8, r8, r6
    ssub16 r12, r12, r10
    add r1, r1, r2
    strd r8, r12, [r1, #\at]
    add r1, r1, r2
    strd r7, r11, [r1, #\at]
    .endm

    nsi_function no_std_infer_tiles_stride_2
    nsi_tiles_begin 68, 680
    mov lr, #0
    nsi_tiles_group
2:  ldr r4, [r0]
    ldr r5, [r0, r2]
    ldr r6, [r0, r2, lsl #1]
    ldr r7, [r1]
    ldr r8, [r1, r2]
    nsi_vertical 0, 0
    nsi_vertical 340, 8
    nsi_tiles_next_column

    // Row by row of the first pair of channels, then of the second.
    ldr r0, [sp, #8]
    ldrd r1, r2, [sp, #20]
    add lr, r0, #340
3:  nsi_horizontal 0
    sub r1, r1, r2, lsl #2
    sub r0, r0, #4
    nsi_horizontal 8
    add r1, r1, r2
    cmp r0, lr
    bne 3b
    ldr r3, [sp, #32]
    cmp r3, lr
    beq 4f
    mov lr, r3
    ldr r1, [sp, #20]
    add r1, r1, #16
    b 3b

4:  mov lr, #0
    nsi_tiles_finish
    nsi_end no_std_infer_tiles_stride_2
    .purgem nsi_vertical
    .purgem nsi_horizontal
