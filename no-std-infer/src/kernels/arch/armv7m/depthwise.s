    // Depthwise 3x3 convolution of one channel, for Armv7-M.

    // Copies a channel into its plane.
    // r0: arguments: 0 source, 4 target, 8 columns, 12 rows, both 1 or more, 16 bytes between columns of the source, 20 bytes
    // from the end of a row of the source to the next, 24 bytes from the end of a row of the target to the next.
    nsi_function no_std_infer_plane
    nsi_enter 9
    ldm r0, {r1-r7}
1:  subs r8, r3, #1
    beq 3f
2:  ldrb r9, [r1]
    ldrb r12, [r1, r5]
    add r1, r1, r5, lsl #1
    strb r9, [r2], #1
    strb r12, [r2], #1
    subs r8, r8, #2
    bhi 2b
    bne 4f
3:  ldrb r9, [r1]
    add r1, r1, r5
    strb r9, [r2], #1
4:  add r1, r1, r6
    add r2, r2, r7
    subs r4, r4, #1
    bne 1b
    nsi_leave 9
    nsi_end no_std_infer_plane

    // A column under the first output alone, the second alone, or both, with the weights from rows 0, 1 and 2.
    // r0 column, moved by \bump; r1 bytes of a row; r12 and r2 sums of the outputs.
    .macro nsi_plane_one sum, w0, w1, w2, bump
    ldrsb lr, [r0, r1]
    mla \sum, lr, \w1, \sum
    ldrsb lr, [r0, r1, lsl #1]
    mla \sum, lr, \w2, \sum
    ldrsb lr, [r0], #\bump
    mla \sum, lr, \w0, \sum
    .endm
    .macro nsi_plane_both w0, w1, w2, v0, v1, v2, bump
    ldrsb lr, [r0, r1]
    mla r12, lr, \w1, r12
    mla r2, lr, \v1, r2
    ldrsb lr, [r0, r1, lsl #1]
    mla r12, lr, \w2, r12
    mla r2, lr, \v2, r2
    ldrsb lr, [r0], #\bump
    mla r12, lr, \w0, r12
    mla r2, lr, \v0, r2
    .endm
    // Requantises twice a sum with its bias, and writes it.
    .macro nsi_plane_finish sum
    add \sum, r3, \sum, lsl #1
    nsi_requantise \sum, r9, lr, r4, r5, r6
    strb lr, [r7]
    add r7, r7, r8
    .endm

    // r0: arguments, all of which are copied to the stack: 0 doubled bias, 4 mantissa, 8 rounding, 12 shift, 16 output,
    // 20 bytes between columns of the output, 24 end of an output row, 28 nine weights, 64 bytes of an output row, 68 output
    // rows, 72 plane, 76 bytes of the plane from output row to output row, 80 bytes of a row of the plane, 84 stride, 1 or 2.
    // Two outputs a round, of which the second is not written where there is none. r3-r11: weights.
    nsi_function no_std_infer_depthwise_plane
    nsi_enter 11, 88
    mov r12, sp
    ldm r0!, {r1-r11}
    stm r12!, {r1-r11}
    ldm r0, {r1-r11}
    stm r12, {r1-r11}
1:  ldr r0, [sp, #72]
    ldr r1, [sp, #80]
2:  add lr, sp, #28
    ldm lr, {r3-r11}
    ldr r2, [sp, #84]
    mov r12, #0
    cmp r2, #2
    mov r2, #0
    beq 3f
    nsi_plane_one r12, r3, r6, r9, 1
    nsi_plane_both r4, r7, r10, r3, r6, r9, 1
    nsi_plane_both r5, r8, r11, r4, r7, r10, 1
    nsi_plane_one r2, r5, r8, r11, -1
    b 4f
3:  nsi_plane_one r12, r3, r6, r9, 1
    nsi_plane_one r12, r4, r7, r10, 1
    nsi_plane_both r5, r8, r11, r3, r6, r9, 1
    nsi_plane_one r2, r4, r7, r10, 1
    nsi_plane_one r2, r5, r8, r11, 0
4:  ldm sp, {r3-r8}
    nsi_plane_finish r12
    ldr r12, [sp, #24]
    cmp r7, r12
    beq 5f
    nsi_plane_finish r2
    str r7, [sp, #16]
    cmp r7, r12
    bne 2b
5:  str r7, [sp, #16]
    ldr r3, [sp, #64]
    add r12, r12, r3
    str r12, [sp, #24]
    ldrd r3, r4, [sp, #72]
    add r3, r3, r4
    str r3, [sp, #72]
    ldr r3, [sp, #68]
    subs r3, r3, #1
    str r3, [sp, #68]
    bne 1b
    nsi_leave 11, 88
    nsi_end no_std_infer_depthwise_plane
    .purgem nsi_plane_one
    .purgem nsi_plane_both
    .purgem nsi_plane_finish
