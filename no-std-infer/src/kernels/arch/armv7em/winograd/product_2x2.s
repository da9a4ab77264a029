    // Products of four transformed tiles, two output channels at a time, transformed back.
    // r0: arguments: 0 panel, 4 steps skipped of 32, 8 words, 12 parameters, 16 their end, 20 output,
    //     24 bytes between pixels, 28 bytes between rows, 32 end of the panel
    // On the stack, for each row of elements: a head of 20 bytes, four addresses to jump to and the end of the panel; below
    // it 32 bytes each: sums of elements 2, of 2 and 1, of 0 to 2 (left), of 1 less 2 less 3 (right).
    nsi_versioned nsi_section, no_std_infer_product_2x2
    // From the first step of one element to that of the next.
14: .word 11f - 10f
15: .word 12f - 11f
16: .word 13f - 12f

    // Two tiles' pixels in one column, twice their sums with the bias: in r0 and r1 the upper ones, in r6 and r7 the lower.
    .macro nsi_pixels sums
    ldrd r2, r3, [sp, #(296 + \sums)]
    ldrd r0, r1, [sp, #(444 + \sums)]
    ldrd r6, r7, [sp, #(0 + \sums)]
    add r2, r9, r2, asr #1
    add r3, r9, r3, asr #1
    add r0, r2, r0, asr #1
    add r1, r3, r1, asr #1
    sub r6, r2, r6, asr #1
    sub r7, r3, r7, asr #1
    ldrd r2, r3, [sp, #(148 + \sums)]
    add r0, r0, r2, asr #1
    add r1, r1, r3, asr #1
    sub r6, r6, r2, asr #1
    sub r7, r7, r3, asr #1
    .endm

    nsi_versioned nsi_start, no_std_infer_product_2x2
    nsi_product_begin 52
    ldr r11, 14b
    add r10, r10, r11
    str r10, [sp, #36]
    ldr r11, 15b
    add r10, r10, r11
    str r10, [sp, #40]
    ldr r11, 16b
    add r10, r10, r11
    str r10, [sp, #44]
    str r9, [sp, #48]
    stm sp, {r1-r8}
    mov r8, r3
1:  ldr r9, [sp]
    add r10, sp, #32
    ldm r10, {r0-r4}
    nsi_rows 52, 148, 0, 4
2:  push {r0-r4}
    nsi_rows 52, 148, 20
    nsi_step 1
    nsi_steps 10, 0, 31
    push {r0-r7}
    nsi_rows 52, 148, 52
    nsi_steps 11, 36, 32
    push {r0-r7}
    nsi_rows 52, 148, 84
    nsi_steps 12, 72, 32
    push {r0-r7}
    nsi_rows 52, 148, 116
    add r12, sp, #32
    ldm r12, {r0-r7}
    ldrd r10, r11, [sp, #64]
    ldrd r12, lr, [sp, #72]
    sub r0, r0, r10, lsl #1
    sub r1, r1, r11, lsl #1
    sub r2, r2, r12, lsl #1
    sub r3, r3, lr, lsl #1
    ldrd r10, r11, [sp, #80]
    ldrd r12, lr, [sp, #88]
    sub r4, r4, r10, lsl #1
    sub r5, r5, r11, lsl #1
    sub r6, r6, r12, lsl #1
    sub r7, r7, lr, lsl #1
    nsi_steps 13, 108, 32
    push {r0-r7}
    nsi_rows 52, 148, 148
    add r10, sp, #128
    ldm r10, {r0-r4}
    cmp r9, r4
    bne.w 2b

    nsi_product_finish 52, 592
    nsi_end no_std_infer_product_2x2
    .purgem nsi_pixels
