    // Patches as a panel, and its product with two output channels at a time, for Armv7-M.

    .macro nsi_single_element panel, words, last=
    ldrsb r11, [r1, #\words]
    ldrsh r12, [r1, #\words]\last
    ldrsb r2, [r0, #\panel]
    ldrsb lr, [r0, #(\panel + 1)]
    mla r3, r11, r2, r3
    mla r7, r12, r2, r7
    mla r4, r11, lr, r4
    mla r8, r12, lr, r8
    ldrsb r2, [r0, #(\panel + 2)]
    ldrsb lr, [r0, #(\panel + 3)]\last
    mla r5, r11, r2, r5
    mla r9, r12, r2, r9
    mla r6, r11, lr, r6
    mla r10, r12, lr, r10
    .endm

    // r0: arguments: 0 panel, an element's four pixels byte by byte; 4 words; 8 pairs of elements, 1 or more;
    // 12 parameters; 16 their end; 20 output; 24 bytes between pixels.
    // r3-r6: sums A of the first channel; r7-r10: common sums A + 256 B; r11 a weight, r12 a common one.
    // Two pairs a round; of an odd number the first round skips one. Panel and words are read from one byte and two
    // bytes after the pointers.
    // Stack: 0 parameters, 4 their end, 8 output, 12 bytes between pixels, 16 panel, 20 bytes of words to skip, 24 bytes of
    // a row of words, 28 its end, 32 two sums, 40 words.
    nsi_function no_std_infer_single
    nsi_enter 11, 44
    ldm r0, {r1-r7}
    and r9, r3, #1
    sub r8, r1, #1
    sub r8, r8, r9, lsl #3
    lsl r9, r9, #2
    lsl r10, r3, #2
    stm sp, {r4-r10}
    sub r1, r2, #2
3:  ldr r2, [sp, #24]
    add r2, r2, r1
    str r2, [sp, #28]
    ldr lr, [sp, #20]
    sub r1, r1, lr
    ldr r0, [sp, #16]
    mov r3, #0
    mov r4, #0
    mov r5, #0
    mov r6, #0
    mov r7, #0
    mov r8, #0
    mov r9, #0
    mov r10, #0
    cmp lr, #0
    bne 2f
1:  nsi_single_element 1, 2
    nsi_single_element 5, 4
2:  nsi_single_element 9, 6
    nsi_single_element 13, 8, !
    ldr r2, [sp, #28]
    cmp r1, r2
    bne 1b

    sub r7, r7, r3
    sub r8, r8, r4
    sub r9, r9, r5
    sub r10, r10, r6
    strd r9, r10, [sp, #32]
    str r1, [sp, #40]
    ldr r9, [sp]
    ldm r9!, {r1, r2, r11, r12}
    str r9, [sp]
    ldrd lr, r0, [sp, #8]
    add r3, r1, r3, lsl #1
    nsi_requantise r3, r9, r10, r2, r11, r12
    strb r10, [lr]
    add r4, r1, r4, lsl #1
    nsi_requantise r4, r9, r10, r2, r11, r12
    strb r10, [lr, r0]
    add r5, r1, r5, lsl #1
    nsi_requantise r5, r9, r10, r2, r11, r12
    strb r10, [lr, r0, lsl #1]
    add r0, r0, r0, lsl #1
    add r6, r1, r6, lsl #1
    nsi_requantise r6, r9, r10, r2, r11, r12
    strb r10, [lr, r0]
    // The second channel.
    ldr r3, [sp]
    ldm r3!, {r1, r2, r11, r12}
    str r3, [sp]
    ldr r0, [sp, #12]
    ldrd r9, r10, [sp, #32]
    add r7, r1, r7, asr #7
    nsi_requantise r7, r3, r4, r2, r11, r12
    strb r4, [lr, #1]!
    add r8, r1, r8, asr #7
    nsi_requantise r8, r3, r4, r2, r11, r12
    strb r4, [lr, r0]
    add r9, r1, r9, asr #7
    nsi_requantise r9, r3, r4, r2, r11, r12
    strb r4, [lr, r0, lsl #1]
    add r0, r0, r0, lsl #1
    add r10, r1, r10, asr #7
    nsi_requantise r10, r3, r4, r2, r11, r12
    strb r4, [lr, r0]
    add lr, lr, #1
    str lr, [sp, #8]
    ldr r1, [sp, #40]
    ldrd r3, r4, [sp]
    cmp r3, r4
    bne 3b
    nsi_leave 11, 44
    nsi_end no_std_infer_single

    // One pixel's patch into the panel, where its elements lie four bytes apart.
    // r0: arguments: 0 source, 4 target, 8 target of what is left over, 12 quads of a run, 16 bytes left over of a run,
    // 20 bytes from the end of a run to the start of the next, 24 runs, 1 or more.
    nsi_function no_std_infer_single_fill
    nsi_enter 9
    ldm r0, {r1-r7}
1:  movs r8, r4
    beq 3f
2:  ldr r9, [r1], #4
    lsr r12, r9, #16
    lsr lr, r9, #8
    strb r9, [r2], #16
    strb r12, [r2, #-12]
    lsr r12, r9, #24
    strb lr, [r2, #-8]
    strb r12, [r2, #-4]
    subs r8, r8, #1
    bne 2b
3:  movs r8, r5
    beq 5f
4:  ldrb r9, [r1], #1
    strb r9, [r3], #4
    subs r8, r8, #1
    bne 4b
5:  add r1, r1, r6
    subs r7, r7, #1
    bne 1b
    nsi_leave 9
    nsi_end no_std_infer_single_fill
    .purgem nsi_single_element
