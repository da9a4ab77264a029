    // Products of four transformed tiles of stride 2, two output channels at a time, transformed back.
    // r0: arguments: 0 panel, 4 steps skipped of 16, 8 words, 12 parameters, 16 their end, 20 output,
    //     24 bytes between pixels, 28 bytes between rows, 32 end of the panel
    // On the stack, for each row of elements: a head of 16 bytes, three addresses to jump to and the end of the panel; below
    // it 32 bytes each: sums of element 0, of 0 to 2 (left), of 0, 3 and 4 (right).
    nsi_versioned nsi_section, no_std_infer_product_stride_2
    // From the first step of one run of steps to that of the next.
14: .word 11f - 10f
15: .word 12f - 11f

    // Two tiles' pixels in one column, twice their sums with the bias: in r0 and r1 the upper ones, in r6 and r7 the lower.
    .macro nsi_pixels sums
    ldrd r2, r3, [sp, #(448 + \sums)]
    ldrd r0, r1, [sp, #(336 + \sums)]
    ldrd r6, r7, [sp, #(224 + \sums)]
    add r2, r9, r2, lsl #1
    add r3, r9, r3, lsl #1
    add r0, r2, r0, lsl #1
    add r1, r3, r1, lsl #1
    add r0, r0, r6, lsl #1
    add r1, r1, r7, lsl #1
    ldrd r6, r7, [sp, #(112 + \sums)]
    add r2, r2, r6, lsl #1
    add r3, r3, r7, lsl #1
    ldrd r6, r7, [sp, #(0 + \sums)]
    add r6, r2, r6, lsl #1
    add r7, r3, r7, lsl #1
    .endm

    nsi_versioned nsi_start, no_std_infer_product_stride_2
    nsi_product_begin 48
    add r10, r10, r2
    ldr r11, 14b
    add r10, r10, r11
    str r10, [sp, #36]
    ldr r11, 15b
    add r10, r10, r11
    strd r10, r9, [sp, #40]
    stm sp, {r1-r8}
    mov r8, r3
1:  ldr r9, [sp]
    add r10, sp, #32
    ldm r10, {r0-r3}
    nsi_rows 48, 112, 0, 3
2:  push {r0-r3}
    nsi_rows 48, 112, 16
    nsi_step 1
    nsi_steps 10, 0, 15
    push {r0-r7}
    nsi_rows 48, 112, 48
    nsi_steps 11, 36, 32
    push {r0-r7}
    nsi_rows 48, 112, 80
    add r10, sp, #32
    ldm r10, {r0-r7}
    nsi_steps 12, 72, 32
    push {r0-r7}
    nsi_rows 48, 112, 112
    add r10, sp, #96
    ldm r10, {r0-r3}
    cmp r9, r3
    bne.w 2b

    nsi_product_finish 48, 560
    nsi_end no_std_infer_product_stride_2
    .purgem nsi_pixels
