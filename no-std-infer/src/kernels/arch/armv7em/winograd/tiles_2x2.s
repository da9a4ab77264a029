    // Transforms four tiles of 4 x 4 inputs, two columns apart.
    // r0: arguments: 0 first row, 4 bytes between rows, 8 columns, 12 bytes between columns, 16 panel, 20 groups of four
    //     channels (1 or more)
    // On the stack: 0 columns, 4 panel, 8 rows to do (before: nothing), 12 pairs of
    //     channels (before: bytes between columns), 16 bytes of all ten columns, 20 groups to do, 24 all groups

    // Vertically, two channels: r8-r11 hold rows 0-3; a row of the result has ten columns of 4 bytes.
    .macro nsi_vertical at
    ssub16 r8, r8, r10
    ssub16 r11, r9, r11
    str r11, [r12, #(\at + 120)]
    sadd16 r11, r9, r10
    ssub16 r10, r10, r9
    str r11, [r12, #(\at + 40)]
    str r10, [r12, #(\at + 80)]
    .if \at
    str r8, [r12, #\at]
    .else
    str r8, [r12], #4
    .endif
    .endm

    nsi_function no_std_infer_tiles_2x2
    nsi_enter 11, 28
    ldm r0, {r0, r4-r8}
    strd r5, r7, [sp]
    mov r9, r8
    strd r8, r9, [sp, #20]
    mov r12, r5
    add r9, r6, r6, lsl #2
    lsl r9, r9, #1
    strd r6, r9, [sp, #12]
    add r1, r0, r4
    add r2, r1, r4
    add r3, r2, r4
1:  mov lr, #0
2:  ldr r4, [r0, lr]
    ldr r5, [r1, lr]
    ldr r6, [r2, lr]
    ldr r7, [r3, lr]
    sxtb16 r8, r4, ror #8
    sxtb16 r9, r5, ror #8
    sxtb16 r10, r6, ror #8
    sxtb16 r11, r7, ror #8
    nsi_vertical 160
    sxtb16 r8, r4
    sxtb16 r9, r5
    sxtb16 r10, r6
    sxtb16 r11, r7
    nsi_vertical 0
    ldrd r8, r9, [sp, #12]
    add lr, lr, r8
    cmp lr, r9
    bne 2b
    ldr r4, [sp, #20]
    add r0, r0, #4
    add r1, r1, #4
    add r2, r2, #4
    add r3, r3, #4
    add r12, r12, #280
    subs r4, r4, #1
    str r4, [sp, #20]
    bne 1b

    // Horizontally, row by row: r0 the first pair's columns, r1-r4 elements 2, 1, 0 and 3 of a row, r12 pairs.
    ldrd r0, r1, [sp]
    ldr r12, [sp, #24]
    lsl r12, r12, #1
    mov r5, #4
    strd r5, r12, [sp, #8]
3:  add r2, r1, r12, lsl #4
    add r3, r2, r12, lsl #4
    add r4, r3, r12, lsl #4
    mov lr, r12
4:  ldm r0!, {r5-r10}
    ssub16 r11, r7, r6
    ssub16 r12, r9, r8
    strd r11, r12, [r1], #8
    sadd16 r11, r6, r7
    sadd16 r12, r8, r9
    strd r11, r12, [r2], #8
    ssub16 r11, r5, r7
    ssub16 r12, r7, r9
    strd r11, r12, [r3], #8
    ssub16 r11, r6, r8
    ssub16 r12, r8, r10
    strd r11, r12, [r4], #8
    ldm r0, {r5-r8}
    add r0, r0, #136
    ssub16 r11, r5, r10
    ssub16 r12, r7, r6
    strd r11, r12, [r1], #8
    sadd16 r11, r10, r5
    sadd16 r12, r6, r7
    strd r11, r12, [r2], #8
    ssub16 r11, r9, r5
    ssub16 r12, r5, r7
    strd r11, r12, [r3], #8
    ssub16 r11, r10, r6
    ssub16 r12, r6, r8
    strd r11, r12, [r4], #8
    subs lr, lr, #1
    bne 4b
    ldr r0, [sp]
    ldrd r5, r12, [sp, #8]
    mov r1, r4
    add r0, r0, #40
    str r0, [sp]
    subs r5, r5, #1
    str r5, [sp, #8]
    bne 3b
    nsi_leave 11, 28
    nsi_end no_std_infer_tiles_2x2
    .purgem nsi_vertical
