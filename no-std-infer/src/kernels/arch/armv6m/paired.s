    // The sums of products of two output channels at four pixels, for Armv6-M.
    // r0 panel: an element's four pixels, two to a word; r1 words; r2 pairs of elements, 1 or more; r3 sums.
    // One pass a channel. r8, r10: sums of all words that pixels 0 and 1, and 2 and 3, give; r9, r11: of their upper halves;
    // r12: 2^15, lr: 2^23; on the stack panel, words, pairs, the panel's end.
    // Two pairs a round; of an odd number the first round skips one.
    .macro nsi_paired_pair channel
    ldm r0!, {r2-r5}
    ldm r1!, {r6}
    .if \channel == 0
    sxtb r7, r6
    lsls r6, r6, #8
    .else
    lsls r7, r6, #16
    add r7, lr
    asrs r7, r7, #24
    add r6, lr
    .endif
    asrs r6, r6, #24
    muls r2, r7, r2
    muls r3, r7, r3
    muls r4, r6, r4
    muls r5, r6, r5
    adds r2, r2, r4
    adds r3, r3, r5
    add r8, r2
    add r2, r12
    asrs r2, r2, #16
    add r9, r2
    add r10, r3
    add r3, r12
    asrs r3, r3, #16
    add r11, r3
    .endm

    .macro nsi_paired_pass channel
    ldr r0, [sp]
    ldr r1, [sp, #4]
    ldr r2, [sp, #8]
    movs r4, #0
    mov r8, r4
    mov r9, r4
    mov r10, r4
    mov r11, r4
    lsrs r2, r2, #1
    bcs 2f
1:  nsi_paired_pair \channel
2:  nsi_paired_pair \channel
    ldr r7, [sp, #12]
    cmp r0, r7
    bne 1b
    ldr r3, [sp, #32]
    mov r5, r9
    lsls r4, r5, #16
    mov r6, r8
    subs r4, r4, r6
    rsbs r5, r5, #0
    mov r7, r11
    lsls r6, r7, #16
    mov r2, r10
    subs r6, r6, r2
    rsbs r7, r7, #0
    stm r3!, {r4-r7}
    str r3, [sp, #32]
    .endm

    nsi_function no_std_infer_paired
    push {r3-r7, lr}
    nsi_pushed 7, 6
    mov r4, r8
    mov r5, r9
    mov r6, r10
    mov r7, r11
    push {r4-r7}
    .cfi_def_cfa_offset 40
    .irp register, 8, 9, 10, 11
    .cfi_offset \register, 4 * \register - 72
    .endr
    lsls r3, r2, #4
    adds r3, r0, r3
    push {r0-r3}
    .cfi_def_cfa_offset 56
    movs r4, #1
    lsls r5, r4, #15
    mov r12, r5
    lsls r5, r4, #23
    mov lr, r5
    nsi_paired_pass 0
    nsi_paired_pass 1
    add sp, #16
    .cfi_def_cfa_offset 40
    pop {r4-r7}
    .cfi_def_cfa_offset 24
    .irp register, 8, 9, 10, 11
    .cfi_register \register, \register - 4
    .endr
    mov r8, r4
    mov r9, r5
    mov r10, r6
    mov r11, r7
    pop {r3-r7, pc}
    nsi_end no_std_infer_paired
    .purgem nsi_paired_pass
    .purgem nsi_paired_pair
