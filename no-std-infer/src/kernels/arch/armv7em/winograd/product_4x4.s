    // Products of four transformed tiles of 4 x 4, two output channels at a time, transformed back.
    // r0: arguments: 0 panel, 4 steps skipped of 32, 8 words, 12 parameters, 16 their end, 20 output of tiles 0 and 1,
    //     24 bytes between pixels, 28 bytes between rows, 32 end of the panel, 36 output of tiles 2 and 3
    // On the stack: 0 for each tile its first output, for the first channel and then the second, 32 a zero; 36 parameters
    //     and 68 bytes between rows, as many times; 100 panel, 104 end of the parameters, 108 words, 112 bytes between
    //     pixels, 116 the step to start with, 120 end of the panel.
    // Below it, for each element 40 bytes: its eight sums, then the last two of these.

    // Transforms a column of two tiles' sums: element 0 is 600 + \at bytes from r12, the next ones 240 bytes lower each.
    // Four sums take the place of the upper elements: times 24, 12, 6 and 12.
    .macro nsi_column at
    ldrd r0, r1, [r12, #(600 + \at)]
    ldrd r2, r3, [r12, #(360 + \at)]
    ldrd r4, r5, [r12, #(120 + \at)]
    ldrd r6, r7, [r12, #(-120 + \at)]
    ldrd r8, r9, [r12, #(-360 + \at)]
    ldrd r10, r11, [r12, #(-600 + \at)]
    sub r4, r2, r4
    sub r5, r3, r5
    rsb r2, r4, r2, lsl #1
    rsb r3, r5, r3, lsl #1
    sub r8, r6, r8
    sub r9, r7, r9
    rsb r6, r8, r6, lsl #1
    rsb r7, r9, r7, lsl #1
    add r0, r0, r6
    add r1, r1, r7
    add r0, r0, r2, lsl #2
    add r1, r1, r3, lsl #2
    add r10, r10, r8, lsl #2
    add r11, r11, r9, lsl #2
    add r10, r10, r4, lsl #1
    add r11, r11, r5, lsl #1
    add r8, r8, r4, lsl #1
    add r9, r9, r5, lsl #1
    add r2, r2, r6
    add r3, r3, r7
    strd r0, r1, [r12, #(600 + \at)]
    strd r8, r9, [r12, #(360 + \at)]
    strd r2, r3, [r12, #(120 + \at)]
    strd r10, r11, [r12, #(-120 + \at)]
    .endm
    // A pixel from its sum times 9 << (\shift + 1): r6 is the inverse of 9, r9 twice the bias.
    .macro nsi_pixel sum, shift
    mul \sum, \sum, r6
    add \sum, r9, \sum, asr #\shift
    nsi_requantise \sum, r7
    .endm
    // Row \row of a tile, whose sums are times 3 << \scale: r8 output, lr bytes between pixels.
    .macro nsi_row row, scale
    ldr r0, [sp, #(40 * (35 - 6 * \row))]
    ldr r1, [sp, #(40 * (34 - 6 * \row))]
    ldr r2, [sp, #(40 * (33 - 6 * \row))]
    ldr r3, [sp, #(40 * (32 - 6 * \row))]
    ldr r4, [sp, #(40 * (31 - 6 * \row))]
    ldr r5, [sp, #(40 * (30 - 6 * \row))]
    sub r2, r1, r2
    rsb r1, r2, r1, lsl #1
    sub r4, r3, r4
    rsb r3, r4, r3, lsl #1
    add r0, r0, r3
    add r0, r0, r1, lsl #2
    add r5, r5, r4, lsl #2
    add r5, r5, r2, lsl #1
    add r4, r4, r2, lsl #1
    add r1, r1, r3
    nsi_pixel r0, (\scale + 2)
    strb r7, [r8]
    nsi_pixel r4, (\scale + 1)
    strb r7, [r8, lr]
    nsi_pixel r1, \scale
    strb r7, [r8, lr, lsl #1]
    add r0, lr, lr, lsl #1
    nsi_pixel r5, (\scale + 1)
    strb r7, [r8, r0]
    .endm
    .macro nsi_next_row
    ldr r0, [sp, #(1440 + 68)]
    add r8, r8, r0
    .endm

    nsi_function no_std_infer_product_4x4
    nsi_enter 11, 124
    ldm r0, {r1-r10}
    mov r11, #44
    mul r2, r2, r11
    adr r11, 10f
    add r2, r2, r11
    orr r2, r2, #1
    strd r2, r9, [sp, #116]
    str r1, [sp, #100]
    str r5, [sp, #104]
    str r7, [sp, #112]
    mov r0, #0
    str r0, [sp, #32]
    mov r5, r4
    strd r4, r5, [sp, #36]
    strd r4, r5, [sp, #44]
    add r4, r4, #16
    add r5, r5, #16
    strd r4, r5, [sp, #52]
    strd r4, r5, [sp, #60]
    mov r9, r8
    strd r8, r9, [sp, #68]
    strd r8, r9, [sp, #76]
    strd r8, r9, [sp, #84]
    strd r8, r9, [sp, #92]
    mov r8, r3
    add r11, r10, r7, lsl #2
    add r7, r6, r7, lsl #2
    strd r6, r7, [sp]
    strd r10, r11, [sp, #8]
    add r6, r6, #1
    add r7, r7, #1
    add r10, r10, #1
    add r11, r11, #1
    strd r6, r7, [sp, #16]
    strd r10, r11, [sp, #24]
1:  ldr r9, [sp, #100]
    ldrd r0, r1, [sp, #116]
    nsi_rows 124, 40, 0, 1
2:  push {r0, r1}
    nsi_rows 124, 40, 8
    nsi_step 1
    nsi_steps 10, 0, 31
    push {r0-r7}
    nsi_rows 124, 40, 40
    ldrd r0, r1, [sp, #32]
    cmp r9, r1
    bne.w 2b

    .cfi_def_cfa 13, 1440 + 160
    str r8, [sp, #(1440 + 108)]
    add r12, sp, #800
    sub lr, r12, #240
3:  nsi_column 0
    nsi_column 8
    nsi_column 16
    nsi_column 24
    sub r12, r12, #40
    cmp r12, lr
    bne.w 3b

    // Tile by tile, which are 4 bytes apart everywhere: the stack's top moves with them, over what is no longer needed.
    movw r6, #0x8e39
    movt r6, #0x38e3
    ldr lr, [sp, #(1440 + 112)]
    ldr r8, [sp, #1440]
    // The caller's frame, as DW_CFA_def_cfa_expression: 128 bytes above the zero, the first one from 1440 bytes above the
    // stack's top on.
    .cfi_escape 0x0f, 15, 0x7d, (1440 - 4) & 0x7f | 0x80, (1440 - 4) >> 7, 0x23, 4, 0x12, 0x06, 0x30, 0x2e, 0x28, 0xf7, 0xff
    .cfi_escape 0x23, 128 & 0x7f | 0x80, 128 >> 7
4:  ldr r0, [sp, #(1440 + 36)]
    ldm r0, {r9-r12}
    nsi_row 0, 3
    nsi_next_row
    nsi_row 1, 2
    nsi_next_row
    nsi_row 2, 1
    nsi_next_row
    nsi_row 3, 2
    add sp, sp, #4
    ldr r8, [sp, #1440]
    cmp r8, #0
    bne.w 4b

    add sp, sp, #(1440 - 32)
    .cfi_def_cfa 13, 160
    ldm sp, {r0-r7}
    add r0, r0, #2
    add r1, r1, #2
    add r2, r2, #2
    add r3, r3, #2
    add r4, r4, #2
    add r5, r5, #2
    add r6, r6, #2
    add r7, r7, #2
    stm sp, {r0-r7}
    ldr r0, [sp, #36]
    add r0, r0, #32
    mov r1, r0
    mov r2, r0
    mov r3, r0
    add r4, r0, #16
    mov r5, r4
    mov r6, r4
    mov r7, r4
    add r12, sp, #36
    stm r12, {r0-r7}
    ldrd r1, r8, [sp, #104]
    cmp r0, r1
    bne.w 1b
    nsi_leave 11, 124
    nsi_end no_std_infer_product_4x4
    .purgem nsi_column
    .purgem nsi_pixel
    .purgem nsi_row
    .purgem nsi_next_row
