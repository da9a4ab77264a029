    // The sums of products of two output channels at four pixels, for Armv7-M.
    // r0 panel: an element's four pixels, byte by byte; r1 words; r2 pairs of elements, 1 or more; r3 sums.
    // r3-r6: sums A of the first channel; r7-r10: common sums A + 256 B; r11 a weight, r12 a common one.
    // Two pairs a round; of an odd number the first round skips one. Panel and words are read from one byte and two
    // bytes after the pointers.
    .macro nsi_single_element panel, words
    ldrsb r11, [r1, #\words]
    .if \words == 8
    ldrsh r12, [r1, #8]!
    .else
    ldrsh r12, [r1, #\words]
    .endif
    ldrsb r2, [r0, #\panel]
    ldrsb lr, [r0, #(\panel + 1)]
    mla r3, r11, r2, r3
    mla r7, r12, r2, r7
    mla r4, r11, lr, r4
    mla r8, r12, lr, r8
    ldrsb r2, [r0, #(\panel + 2)]
    .if \words == 8
    ldrsb lr, [r0, #(\panel + 3)]!
    .else
    ldrsb lr, [r0, #(\panel + 3)]
    .endif
    mla r5, r11, r2, r5
    mla r9, r12, r2, r9
    mla r6, r11, lr, r6
    mla r10, r12, lr, r10
    .endm

    .syntax unified
    .section .text.no_std_infer_single, "ax", %progbits
    .p2align 2
    .global no_std_infer_single
    .thumb_func
    .type no_std_infer_single, %function
no_std_infer_single:
    push {r3-r11, lr}
    sub r0, r0, #1
    sub r1, r1, #2
    add r12, r1, r2, lsl #2
    push {r2, r12}
    mov r3, #0
    mov r4, #0
    mov r5, #0
    mov r6, #0
    mov r7, #0
    mov r8, #0
    mov r9, #0
    mov r10, #0
    tst r2, #1
    beq 1f
    sub r0, r0, #8
    sub r1, r1, #4
    b 2f
1:  nsi_single_element 1, 2
    nsi_single_element 5, 4
2:  nsi_single_element 9, 6
    nsi_single_element 13, 8
    ldr r2, [sp, #4]
    cmp r1, r2
    bne 1b
    sub r7, r7, r3
    sub r8, r8, r4
    sub r9, r9, r5
    sub r10, r10, r6
    asr r7, r7, #8
    asr r8, r8, #8
    asr r9, r9, #8
    asr r10, r10, #8
    ldr r2, [sp, #8]
    stm r2, {r3-r10}
    add sp, sp, #12
    pop {r4-r11, pc}
    .size no_std_infer_single, . - no_std_infer_single
    .purgem nsi_single_element
