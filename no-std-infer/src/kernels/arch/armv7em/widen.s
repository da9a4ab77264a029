    // Widens the patches of neighbouring pixels: bytes to pairs of halfwords, the pairs of a pixel 16 bytes apart.
    // r0: arguments: 0 source, 4 target, 8 groups of four bytes in a run, 12 runs (1 or more), 16 bytes from run to run,
    //     20 pixels (1 or more), 24 bytes from pixel to pixel, 28 bytes left over in a run
    // r0 source, r1 target, r2 groups, r3 runs, r8-r9 pairs, r10 from the end of a run to the next, r11 target of what is
    // left over, lr groups / 4

    // One group: four bytes to two pairs.
    .macro nsi_group word, at
    sxtb16 r8, \word
    sxtb16 r9, \word, ror #8
    str r8, [r1, #\at]
    str r9, [r1, #(\at + 16)]
    .endm

    // After a run: back to \run for the next, else to \pixel for the next pixel, else the end.
    .macro nsi_next run, pixel
    add r0, r0, r10
    subs r3, r3, #1
    bne \run
    ldrd r0, r1, [sp]
    ldrd r5, r6, [sp, #20]
    add r0, r0, r6
    add r1, r1, #4
    strd r0, r1, [sp]
    subs r5, r5, #1
    str r5, [sp, #20]
    bne \pixel
    nsi_leave 11, 32
    .endm

    nsi_function no_std_infer_widen
    nsi_enter 11, 32
    ldm r0, {r1-r8}
    stm sp, {r1-r8}
    mov r2, r3
    lsr lr, r2, #2
    sub r10, r5, r2, lsl #2
    sub r10, r10, r8
    // Words at multiples of 4 can be loaded four at a time.
    orr r4, r1, r5
    orr r4, r4, r7
    cmp r8, #0
    it ne
    orrne r4, r4, #1
    tst r4, #3
    bne 20f

10: ldrd r0, r1, [sp]
    ldr r3, [sp, #12]
11: movs r12, lr
    beq 13f
12: ldm r0!, {r4-r7}
    nsi_group r4, 0
    nsi_group r5, 32
    nsi_group r6, 64
    nsi_group r7, 96
    add r1, r1, #128
    subs r12, r12, #1
    bne 12b
13: lsls r12, r2, #31
    bcc 14f
    ldm r0!, {r4-r5}
    nsi_group r4, 0
    nsi_group r5, 32
    add r1, r1, #64
14: bpl 15f
    ldr r4, [r0], #4
    nsi_group r4, 0
    add r1, r1, #32
15: nsi_next 11b, 10b

20: ldrd r0, r1, [sp]
    ldr r3, [sp, #12]
    mul r11, r2, r3
    add r11, r1, r11, lsl #5
21: movs r12, lr
    beq 23f
22: ldr r4, [r0]
    ldr r5, [r0, #4]
    ldr r6, [r0, #8]
    ldr r7, [r0, #12]
    nsi_group r4, 0
    nsi_group r5, 32
    nsi_group r6, 64
    nsi_group r7, 96
    add r0, r0, #16
    add r1, r1, #128
    subs r12, r12, #1
    bne 22b
23: lsls r12, r2, #31
    bcc 24f
    ldr r4, [r0], #4
    ldr r5, [r0], #4
    nsi_group r4, 0
    nsi_group r5, 32
    add r1, r1, #64
24: bpl 25f
    ldr r4, [r0], #4
    nsi_group r4, 0
    add r1, r1, #32
25: ldr r4, [sp, #28]
    cbz r4, 27f
    // Halves of a pair lie 2 bytes apart, pairs 16.
26: ldrsb r8, [r0], #1
    strh r8, [r11]
    eor r11, r11, #2
    tst r11, #2
    it eq
    addeq r11, r11, #16
    subs r4, r4, #1
    bne 26b
27: nsi_next 21b, 20b
    nsi_end no_std_infer_widen

    // The same for patches of three runs of nine bytes; the upper half of the last pair is multiplied
    // with 0 and may be anything.
    .macro nsi_run at
    ldr r4, [r2]
    ldr r5, [r2, #4]
    ldrsb r6, [r2, #8]
    nsi_group r4, \at
    nsi_group r5, (\at + 32)
    .endm
    nsi_function no_std_infer_widen_rgb
    nsi_enter 9
    ldr r3, [r0, #16]
    ldr r12, [r0, #20]
    ldr lr, [r0, #24]
    ldm r0, {r0-r1}
1:  mov r2, r0
    nsi_run 0
    mov r7, r6
    add r2, r2, r3
    nsi_run 64
    pkhbt r7, r7, r6, lsl #16
    add r2, r2, r3
    nsi_run 128
    str r7, [r1, #192]
    str r6, [r1, #208]
    add r0, r0, lr
    add r1, r1, #4
    subs r12, r12, #1
    bne 1b
    nsi_leave 9
    nsi_end no_std_infer_widen_rgb
    .purgem nsi_run

    // The same for four neighbouring pixels, one column apart, of kernels three columns wide, with channels a multiple of
    // 4 and words at multiples of 4: each byte is widened once and stored for up to three taps.
    // r0, r1: columns 0 and 3 of the source; r2 bytes of a column; r3-r5 targets of the three taps; r6 groups to do;
    // r10 groups of a column; r11 from the end of a run to the next; r12 runs to do
    // A word of a column: widened to r8 and r9.
    .macro nsi_column from:vararg
    ldr r7, \from
    sxtb16 r8, r7
    sxtb16 r9, r7, ror #8
    .endm
    .macro nsi_tap target, pixel
    str r9, [\target, #(\pixel * 4 + 16)]
    .if \pixel
    str r8, [\target, #(\pixel * 4)]
    .else
    str r8, [\target], #32
    .endif
    .endm
    nsi_function no_std_infer_widen_3x1
    nsi_enter 11
    mov r12, r0
    ldrd r10, r6, [r12, #8]
    ldr r11, [r12, #16]
    ldrd r0, r3, [r12]
    mov r12, r6
    mov r4, #3
    udiv r10, r10, r4
    lsl r2, r10, #2
    sub r11, r11, r2
1:  add r1, r0, r2
    add r1, r1, r2, lsl #1
    add r4, r3, r10, lsl #5
    add r5, r4, r10, lsl #5
    mov r6, r10
2:  nsi_column [r1, r2, lsl #1]
    nsi_tap r5, 3
    nsi_column [r1, r2]
    nsi_tap r5, 2
    nsi_tap r4, 3
    nsi_column [r1], #4
    nsi_tap r5, 1
    nsi_tap r4, 2
    nsi_tap r3, 3
    nsi_column [r0, r2, lsl #1]
    nsi_tap r5, 0
    nsi_tap r4, 1
    nsi_tap r3, 2
    nsi_column [r0, r2]
    nsi_tap r4, 0
    nsi_tap r3, 1
    nsi_column [r0], #4
    nsi_tap r3, 0
    subs r6, r6, #1
    bne 2b
    mov r3, r5
    add r0, r0, r11
    subs r12, r12, #1
    bne 1b
    nsi_leave 11
    nsi_end no_std_infer_widen_3x1
    .purgem nsi_column
    .purgem nsi_tap

    // The same for four pixels of one run each, with words at multiples of 4, so that what four words become is stored at once.
    // r0, r3-r5 pixels, r1 target, r2 groups / 2
    .macro nsi_four at
    ldr r6, [r0, #\at]
    ldr r7, [r3, #\at]
    ldr r8, [r4, #\at]
    ldr r9, [r5, #\at]
    sxtb16 r10, r6, ror #8
    sxtb16 r11, r7, ror #8
    sxtb16 r12, r8, ror #8
    sxtb16 lr, r9, ror #8
    sxtb16 r6, r6
    sxtb16 r7, r7
    sxtb16 r8, r8
    sxtb16 r9, r9
    stm r1!, {r6-r12, lr}
    .endm
    .macro nsi_advance bytes
    add r0, r0, #\bytes
    add r3, r3, #\bytes
    add r4, r4, #\bytes
    add r5, r5, #\bytes
    .endm
    nsi_function no_std_infer_widen_four
    nsi_enter 11
    ldr r2, [r0, #8]
    ldr r6, [r0, #24]
    ldrd r0, r1, [r0]
    add r3, r0, r6
    add r4, r0, r6, lsl #1
    add r5, r4, r6
    lsrs r2, r2, #1
    bcc 1f
    nsi_four 0
    nsi_advance 4
    cmp r2, #0
    beq 2f
1:  nsi_four 0
    nsi_four 4
    nsi_advance 8
    subs r2, r2, #1
    bne 1b
2:  nsi_leave 11
    nsi_end no_std_infer_widen_four
    .purgem nsi_four
    .purgem nsi_advance
    .purgem nsi_group
    .purgem nsi_next
