    // Frames made smaller, four pixels at a time.

    // Weighted sums of rows. r0: arguments: 0 first row, 4 bytes from row to row, 8 rows (1 or more), 12 weight of the first row, 16
    //   of those between, 20 of the last, 24 pixels (1 or more), 28 bytes of four pixels, 32 sums, three times 60 words, 36 where
    //   the components of four pixels lie: three times four offsets, or of pixels of 16 bits those of their upper and lower bytes
    // r1 four pixels, r2 from row to row, r3 rows, r4-r6 weights, r7 pixels left, r8 bytes of four pixels, r9 sums, r11 row,
    // r12 its weight; q0-q2 sums, q4-q6 offsets
    .macro nsi_image_rows name, packed
    nsi_function \name
    nsi_enter_all 8
    ldrd r1, r2, [r0]
    ldrd r3, r4, [r0, #8]
    ldrd r5, r6, [r0, #16]
    ldrd r7, r8, [r0, #24]
    ldrd r9, r10, [r0, #32]
    vldrw.u32 q4, [r10]
    vldrw.u32 q5, [r10, #16]
    .if !\packed
    vldrw.u32 q6, [r10, #32]
    .endif
1:  vctp.32 r7
    mov r11, r1
    mov r12, r4
    vmov.i32 q0, #0
    vmov.i32 q1, #0
    vmov.i32 q2, #0
    dls lr, r3
2:  cmp lr, #2
    .if \packed
    vpstt
    vldrbt.u32 q3, [r11, q4]
    vldrbt.u32 q6, [r11, q5]
    add r11, r11, r2
    vmov q7, q3
    vsri.8 q7, q3, #5
    vshl.i8 q3, q3, #5
    vmla.s32 q0, q7, r12
    vsri.8 q3, q6, #3
    vshl.i8 q6, q6, #3
    vsri.8 q3, q3, #6
    vsri.8 q6, q6, #5
    vmla.s32 q1, q3, r12
    vmla.s32 q2, q6, r12
    .else
    vpstttt
    vldrbt.u32 q3, [r11, q4]
    vldrbt.u32 q7, [r11, q5]
    vmlat.s32 q0, q3, r12
    vldrbt.u32 q3, [r11, q6]
    add r11, r11, r2
    vmla.s32 q1, q7, r12
    vmla.s32 q2, q3, r12
    .endif
    csel r12, r6, r5, eq
    le lr, 2b
    vstrw.32 q1, [r9, #240]
    vstrw.32 q2, [r9, #480]
    vstrw.32 q0, [r9], #16
    add r1, r1, r8
    subs r7, r7, #4
    bhi 1b
    nsi_leave_all 8
    nsi_end \name
    .endm
    nsi_image_rows no_std_infer_mve_image_rows, 0
    nsi_image_rows no_std_infer_mve_image_rows_of_16_bits, 1

    // Weighted sums of columns of these, and their means.
    // r0: arguments: 0 sums, 4 table: for each of 16 outputs the offset of its first column, then of each the weights of the first
    //   column, of the last but one, and of the last one, 8 outputs (1 or more), 12 columns between, 16 their weight, 20 half of
    //   the divisor, 24 its reciprocal and 28 minus the shift after that, 32 means: three times 16 bytes
    // r1 sums, r2 table, r3 outputs, r4 columns between, r5 their weight, r6 half, r7 means, r8 shift, r9 reciprocal, r10 columns left,
    // r11 entry, r12 outputs left, r14 sums from a column on; q0 offsets, q1 sums
    // Frame: 0 components left
    nsi_function no_std_infer_mve_image_columns
    nsi_enter 11, 8
    ldrd r1, r2, [r0]
    ldrd r3, r4, [r0, #8]
    ldrd r5, r6, [r0, #16]
    ldrd r9, r8, [r0, #24]
    ldr r0, [r0, #32]
    mov r10, #3
    str r10, [sp]
1:  mov r7, r0
    mov r11, r2
    mov r12, r3
2:  vldrw.u32 q0, [r11]
    vldrw.u32 q3, [r11, #64]
    vldrw.u32 q2, [r1, q0]
    add r14, r1, #4
    vmul.i32 q1, q2, q3
    cbz r4, 4f
    mov r10, r4
3:  vldrw.u32 q2, [r14, q0]
    add r14, r14, #4
    subs r10, r10, #1
    vmla.s32 q1, q2, r5
    bne 3b
4:  vldrw.u32 q2, [r14, q0]
    vldrw.u32 q3, [r11, #128]
    add r14, r14, #4
    vmul.i32 q2, q2, q3
    vldrw.u32 q3, [r11, #192]
    vadd.i32 q1, q1, q2
    vldrw.u32 q2, [r14, q0]
    add r11, r11, #16
    vmul.i32 q2, q2, q3
    vdup.32 q3, r9
    vadd.i32 q1, q1, q2
    subs r12, r12, #4
    vadd.i32 q1, q1, r6
    vmulh.u32 q1, q1, q3
    vshl.u32 q1, r8
    vstrb.32 q1, [r7], #4
    bhi 2b
    ldr r10, [sp]
    add r1, r1, #240
    add r0, r0, #16
    subs r10, r10, #1
    str r10, [sp]
    bne 1b
    nsi_leave 11, 8
    nsi_end no_std_infer_mve_image_columns

    // Components of 16 pixels from YUV to RGB, in place. r0: components: three times 16 bytes; r1: of each of 2^16 parts of V for red,
    //   of U and V for green, and of U for blue
    // r2-r5 these, r6 128, r12 half, lr fours of pixels left; q0 Y, q1 U, q2 V, q4 least, q5 largest
    nsi_function no_std_infer_mve_image_yuv_to_rgb
    nsi_enter 6
    vpush {d8-d11}
    .cfi_def_cfa_offset 48
    ldrd r2, r3, [r1]
    ldrd r4, r5, [r1, #8]
    mov r6, #128
    mov r12, #0x8000
    vmov.i32 q4, #0
    vmov.i32 q5, #255
    mov lr, #4
    dls lr, lr
1:  vldrb.u32 q1, [r0, #16]
    vldrb.u32 q2, [r0, #32]
    vsub.i32 q1, q1, r6
    vsub.i32 q2, q2, r6
    vldrb.u32 q0, [r0]
    vmul.i32 q3, q2, r2
    vadd.i32 q3, q3, r12
    vshr.s32 q3, q3, #16
    vadd.i32 q3, q3, q0
    vmax.s32 q3, q3, q4
    vmin.s32 q3, q3, q5
    vstrb.32 q3, [r0]
    vmul.i32 q3, q1, r3
    vmla.s32 q3, q2, r4
    vadd.i32 q3, q3, r12
    vshr.s32 q3, q3, #16
    vadd.i32 q3, q3, q0
    vmax.s32 q3, q3, q4
    vmin.s32 q3, q3, q5
    vstrb.32 q3, [r0, #16]
    vmul.i32 q3, q1, r5
    vadd.i32 q3, q3, r12
    vshr.s32 q3, q3, #16
    vadd.i32 q3, q3, q0
    vmax.s32 q3, q3, q4
    vmin.s32 q3, q3, q5
    vstrb.32 q3, [r0, #32]
    add r0, r0, #4
    le lr, 1b
    vpop {d8-d11}
    .cfi_def_cfa_offset 16
    nsi_leave 6
    nsi_end no_std_infer_mve_image_yuv_to_rgb

    // Components of up to 16 pixels, 128 less each, to where they lie beside each other. r0: components: three times 16 bytes; r1
    // output, r2 pixels (1 or more)
    nsi_function no_std_infer_mve_image_write
    mov r12, #0
    vidup.u8 q0, r12, #1
    mov r3, #3
    vmul.i8 q0, q0, r3
    vctp.8 r2
    mov r3, #128
    vldrb.u8 q1, [r0]
    vldrb.u8 q2, [r0, #16]
    vldrb.u8 q3, [r0, #32]
    vsub.i8 q1, q1, r3
    vsub.i8 q2, q2, r3
    vsub.i8 q3, q3, r3
    add r2, r1, #1
    add r3, r1, #2
    vpsttt
    vstrbt.8 q1, [r1, q0]
    vstrbt.8 q2, [r2, q0]
    vstrbt.8 q3, [r3, q0]
    bx lr
    nsi_end no_std_infer_mve_image_write
