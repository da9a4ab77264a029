    // Widens the patches of neighbouring pixels: bytes to pairs of halfwords, the pairs of a pixel 16 bytes apart.
    // r0: arguments: 0 source, 4 target, 8 groups of four bytes in a run, 12 runs (1 or more), 16 bytes from run to run,
    //     20 pixels (1 or more), 24 bytes from pixel to pixel, 28 bytes left over in a run
    // r0 source, r1 target, r2 groups, r3 runs, r8-r9 pairs, r10 from the end of a run to the next, r11 target of what is
    // left over, lr groups / 4
    .syntax unified
    .section .text.no_std_infer_widen, "ax", %progbits
    .p2align 2
    .global no_std_infer_widen
    .thumb_func
    .type no_std_infer_widen, %function

    // One group: four bytes to two pairs.
    .macro nsi_group word, at
    sxtb16 r8, \word
    sxtb16 r9, \word, ror #8
    str r8, [r1, #\at]
    str r9, [r1, #(\at + 16)]
    .endm

no_std_infer_widen:
    push {r4-r11, lr}
    sub sp, sp, #32
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
15: add r0, r0, r10
    subs r3, r3, #1
    bne 11b
    ldrd r0, r1, [sp]
    ldrd r5, r6, [sp, #20]
    add r0, r0, r6
    add r1, r1, #4
    strd r0, r1, [sp]
    subs r5, r5, #1
    str r5, [sp, #20]
    bne 10b
    add sp, sp, #32
    pop {r4-r11, pc}

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
27: add r0, r0, r10
    subs r3, r3, #1
    bne 21b
    ldrd r0, r1, [sp]
    ldrd r5, r6, [sp, #20]
    add r0, r0, r6
    add r1, r1, #4
    strd r0, r1, [sp]
    subs r5, r5, #1
    str r5, [sp, #20]
    bne 20b
    add sp, sp, #32
    pop {r4-r11, pc}
    .size no_std_infer_widen, . - no_std_infer_widen
    .purgem nsi_group
