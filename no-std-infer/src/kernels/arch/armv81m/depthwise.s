    // Depthwise 3x3. Scratch holds 16 channels, column by column, four neighbouring rows of each channel in a word, so that four
    // words a column apart, one gather, are the 4x4 window of a channel. Taps: 16 bytes a channel, column by column
    // [w00 w10 w20 0 | w01 w11 w21 0 | w02 w12 w22 0 | 0 0 0 0], with 16 zeros before the first one.

    // Four rows of up to 16 channels to a block of scratch, with a border on both sides.
    // r0: arguments: 0 block, 4 columns of the input, 8, 12, 16, 20 rows, 24, 28, 32, 36 bytes from column to column of each,
    //   40 channels, 44 columns of the border on the left, 48 and on the right, 52 their value
    nsi_function no_std_infer_mve_interleave
    nsi_enter 11
    ldrd r1, r2, [r0]
    ldrd r4, r5, [r0, #8]
    ldrd r6, r7, [r0, #16]
    ldrd r8, r9, [r0, #24]
    ldrd r10, r11, [r0, #32]
    ldrd r3, r12, [r0, #40]
    vctp.8 r3
    ldr r3, [r0, #52]
    vdup.8 q0, r3
    wls lr, r12, 2f
1:  vstrb.8 q0, [r1, #16]
    vstrb.8 q0, [r1, #32]
    vstrb.8 q0, [r1, #48]
    vstrb.8 q0, [r1], #64
    le lr, 1b
2:  dls lr, r2
3:  vpstttt
    vldrbt.u8 q0, [r4]
    vldrbt.u8 q1, [r5]
    vldrbt.u8 q2, [r6]
    vldrbt.u8 q3, [r7]
    add r4, r4, r8
    vst40.8 {q0, q1, q2, q3}, [r1]
    add r5, r5, r9
    vst41.8 {q0, q1, q2, q3}, [r1]
    add r6, r6, r10
    vst42.8 {q0, q1, q2, q3}, [r1]
    add r7, r7, r11
    vst43.8 {q0, q1, q2, q3}, [r1]!
    le lr, 3b
    ldr r12, [r0, #48]
    vdup.8 q0, r3
    wls lr, r12, 5f
4:  vstrb.8 q0, [r1, #16]
    vstrb.8 q0, [r1, #32]
    vstrb.8 q0, [r1, #48]
    vstrb.8 q0, [r1], #64
    le lr, 4b
5:  nsi_leave 11
    nsi_end no_std_infer_mve_interleave

    // Weights of up to 16 channels to taps.
    // r0 taps of the first channel, r1 its first weight, r2 bytes from weight to weight, r3 channels
    nsi_function no_std_infer_mve_taps
    mov r12, #0
    vidup.u8 q1, r12, #8
    vshl.i8 q1, q1, #1
    vctp.8 r3
    .irp next, 4, 4, -7, 4, 4, -7, 4, 4, -7
    vpstt
    vldrbt.u8 q0, [r1]
    vstrbt.8 q0, [r0, q1]
    add r1, r1, r2
    add r0, r0, #\next
    .endr
    bx lr
    nsi_end no_std_infer_mve_taps

    // Stride 1: read 1, 4 and 5 bytes earlier the taps are those of the output below, on the right, and below on the right, so
    // that four VMLADAV with the taps at four places give 2x2 outputs.
    // r0: arguments, which it changes: 0 scratch, 4 taps, 8 parameters (bias, mantissa, shift), 12 output, 16 channels,
    //   20 pairs of blocks, 24 single block (0 or 1), 28 pairs of columns, 32 odd column (0 or 1), 36 bytes of a column of
    //   scratch, 40 bytes of a block, 44 bytes of an output pixel, 48 of an output row, three rows and a pixel of which are less
    //   than 65536, 52 zero point, then which bytes of results are stored: 56 of an odd column, 60 of a single block's pair of
    //   columns, 64 of its odd column, 68 of the last pair's columns, 72 of its odd column; 76 1 if the last pair has a row
    //   less, else 0, 80 the same of the single block
    // r1, r3 windows of the first and second block, r5 output, r7 128 or zero point, r8 bias, r10 mantissa, r12 shift, r9, r11 temporary
    // q0, q1 windows and results, q2-q5 taps, q6 offsets of columns, q7 offsets of outputs

    // Eight outputs: block r1 in even halfwords, block r3 in odd ones.
    .macro nsi_blocks corrected, masked
    vldrw.u32 q1, [r3, q6]
    vmladav.s8 r0, q0, q2
    add r1, r1, r11
    vmladav.s8 r2, q0, q3
    add r3, r3, r11
    vmladav.s8 r4, q0, q4
    vmladav.s8 r6, q0, q5
    vmov q0[2], q0[0], r0, r4
    vmladav.s8 r0, q1, q2
    vmov q0[3], q0[1], r2, r6
    vadd.i32 q0, q0, r8
    vmladav.s8 r2, q1, q3
    .if \corrected
    mov r4, #-1
    .endif
    vqrdmulh.s32 q0, q0, r10
    .if \corrected
    vpt.s32 lt, q0, zr
    vaddt.i32 q0, q0, r4
    .endif
    vmladav.s8 r4, q1, q4
    vrshl.s32 q0, r12
    vmladav.s8 r6, q1, q5
    vmov q1[2], q1[0], r0, r4
    vmov q1[3], q1[1], r2, r6
    vadd.i32 q1, q1, r8
    vqmovnb.s32 q0, q0
    vqrdmulh.s32 q1, q1, r10
    .if \corrected
    mov r4, #-1
    vpt.s32 lt, q1, zr
    vaddt.i32 q1, q1, r4
    .endif
    vrshl.s32 q1, r12
    vqmovnt.s32 q0, q1
    .if !\corrected
    vqmovunb.s16 q1, q0
    vldrw.u32 q0, [r1, q6]
    vadd.i8 q1, q1, r7
    .else
    vqadd.s16 q1, q0, r7
    vldrw.u32 q0, [r1, q6]
    vqmovnb.s16 q1, q1
    .endif
    .if \masked
    ldr r4, [sp, #20]
    vmsr p0, r4
    vpst
    vstrbt.16 q1, [r5, q7]
    .else
    vstrb.16 q1, [r5, q7]
    .endif
    add r5, r5, r9
    .endm

    // Four outputs: block r1; q1 holds the offsets of its outputs as words.
    .macro nsi_block_of_four corrected, masked
    vmladav.s8 r0, q0, q2
    add r1, r1, r11
    vmladav.s8 r2, q0, q3
    vmladav.s8 r4, q0, q4
    vmladav.s8 r6, q0, q5
    vmov q0[2], q0[0], r0, r4
    vmov q0[3], q0[1], r2, r6
    vadd.i32 q0, q0, r8
    vqrdmulh.s32 q0, q0, r10
    .if \corrected
    mov r4, #-1
    vpt.s32 lt, q0, zr
    vaddt.i32 q0, q0, r4
    .endif
    vrshl.s32 q0, r12
    vqmovnb.s32 q0, q0
    .if !\corrected
    vqmovunb.s16 q0, q0
    vadd.i8 q0, q0, r7
    .else
    vqadd.s16 q0, q0, r7
    vqmovnb.s16 q0, q0
    .endif
    .if \masked
    ldr r4, [sp, #20]
    vmsr p0, r4
    vpst
    vstrbt.32 q0, [r5, q1]
    .else
    vstrb.32 q0, [r5, q1]
    .endif
    vldrw.u32 q0, [r1, q6]
    add r5, r5, r9
    .endm

    .macro nsi_depthwise_1 name, corrected
    nsi_function \name
    nsi_enter_all 32
    str r0, [sp]
    ldr r1, [r0, #16]
    str r1, [sp, #4]                // channels left
    ldr r1, [r0, #36]
    mov r2, #0
    lsl r3, r1, #1
    add r4, r3, r1
    vmov q6[2], q6[0], r2, r3       // four columns
    vmov q6[3], q6[1], r1, r4
    ldrd r1, r3, [r0, #44]          // pixel, row
    // halfwords: (0, 2 rows), (row, 3 rows), (pixel, 2 rows + pixel), (row + pixel, 3 rows + pixel)
    lsl r4, r3, #17
    add r5, r3, r3, lsl #17
    add r5, r5, r3, lsl #16
    orr r6, r1, r1, lsl #16
    add r8, r4, r6
    add r10, r5, r6
    vmov q7[2], q7[0], r4, r8
    vmov q7[3], q7[1], r5, r10
    lsl r9, r1, #1
    ldr r11, [r0, #36]
    lsl r11, r11, #1
    .if !\corrected
    mov r7, #128
    .else
    ldr r7, [r0, #52]
    .endif
1:  ldr r0, [sp]
    ldrd r1, r2, [r0]
    ldr r4, [r0, #8]
    vldrb.u8 q2, [r2]
    vldrb.u8 q3, [r2, #-1]
    vldrb.u8 q4, [r2, #-4]
    vldrb.u8 q5, [r2, #-5]
    ldrd r8, r10, [r4]
    ldr r12, [r4, #8]
    ldr r5, [r0, #12]
    add r6, r1, #4
    add r2, r2, #16
    strd r6, r2, [r0]
    add r4, r4, #12
    add r6, r5, #1
    strd r4, r6, [r0, #8]
    ldr r6, [r0, #20]
    strd r1, r5, [sp, #12]
    cmp r6, #0
    beq.w 5f
2:  str r6, [sp, #8]
    ldr r0, [sp]
    ldrd r1, r5, [sp, #12]
    ldr r2, [r0, #40]
    add r3, r1, r2
    vldrw.u32 q0, [r1, q6]
    add r4, r3, r2
    ldr lr, [r0, #28]
    ldr r2, [r0, #48]
    add r2, r5, r2, lsl #2
    strd r4, r2, [sp, #12]
    dls lr, lr
    ldr r2, [r0, #76]
    cmp r6, r2
    beq.w 6f                        // the last pair may have a row less
3:  nsi_blocks \corrected, 0
    le lr, 3b
4:  ldr r4, [sp]
    ldr r2, [r4, #32]
    cmp r2, #0
    beq.w 8f
    ldr r6, [r4, #56]
    str r6, [sp, #20]
    nsi_blocks \corrected, 1
8:  ldr r6, [sp, #8]
    subs r6, r6, #1
    bne.w 2b
5:  ldr r0, [sp]
    ldr r6, [r0, #24]
    cmp r6, #0
    beq.w 7f
    // A single block of rows.
    ldrd r1, r5, [sp, #12]
    mov r2, #0
    ldrd r3, r4, [r0, #44]
    add r6, r3, r4
    vmov q1[2], q1[0], r2, r3       // 0, row, pixel, row + pixel
    vmov q1[3], q1[1], r4, r6
    ldr lr, [r0, #28]
    ldr r2, [r0, #60]
    str r2, [sp, #20]
    vldrw.u32 q0, [r1, q6]
    ldr r3, [r0, #80]
    dls lr, lr
    cmp r3, #0
    bne 12f
9:  nsi_block_of_four \corrected, 0
    le lr, 9b
    b 13f
12: nsi_block_of_four \corrected, 1
    le lr, 12b
13: ldr r4, [sp]
    ldr r2, [r4, #32]
    cmp r2, #0
    beq.w 7f
    ldr r2, [r4, #64]
    str r2, [sp, #20]
    nsi_block_of_four \corrected, 1
    b.w 7f
    // The last pair.
6:  ldr r2, [r0, #68]
    str r2, [sp, #20]
10: nsi_blocks \corrected, 1
    le lr, 10b
    ldr r4, [sp]
    ldr r2, [r4, #32]
    cmp r2, #0
    beq.w 5b
    ldr r2, [r4, #72]
    str r2, [sp, #20]
    nsi_blocks \corrected, 1
    b 5b
7:  ldr r0, [sp, #4]
    subs r0, r0, #1
    str r0, [sp, #4]
    bne.w 1b
    nsi_leave_all 32
    nsi_end \name
    .endm

    nsi_depthwise_1 no_std_infer_mve_depthwise_1_relu, 0
    nsi_depthwise_1 no_std_infer_mve_depthwise_1_any, 1

    // Stride 2: a window gives one output; two rows by two columns at a time, in the lanes (0, 0), (1, 0), (0, 1), (1, 1).
    // r0: the same arguments: 20 pairs of rows, 24 single row, 28 pairs of columns; 60 bytes stored of a single row, 64 of its odd
    //   column
    .macro nsi_group corrected, masked
    vmladav.s8 r0, q0, q2
    vldrw.u32 q0, [r3, q6]
    vmladav.s8 r4, q1, q2
    vldrw.u32 q1, [r3, q5]
    add r1, r1, r11
    vmladav.s8 r2, q0, q2
    vldrw.u32 q0, [r1, q6]
    vmladav.s8 r6, q1, q2
    vmov q4[2], q4[0], r0, r4
    add r3, r3, r11
    vmov q4[3], q4[1], r2, r6
    vadd.i32 q4, q4, r8
    vqrdmulh.s32 q4, q4, r10
    vldrw.u32 q1, [r1, q5]
    .if \corrected
    mov r4, #-1
    vpt.s32 lt, q4, zr
    vaddt.i32 q4, q4, r4
    .endif
    vrshl.s32 q4, r12
    vqmovnb.s32 q4, q4
    .if !\corrected
    vqmovunb.s16 q4, q4
    vadd.i8 q4, q4, r7
    .else
    vqadd.s16 q4, q4, r7
    vqmovnb.s16 q4, q4
    .endif
    .if \masked
    ldr r4, [sp, #20]
    vmsr p0, r4
    vpst
    vstrbt.32 q4, [r5, q7]
    .else
    vstrb.32 q4, [r5, q7]
    .endif
    add r5, r5, r9
    .endm
    .macro nsi_depthwise_2 name, corrected
    nsi_function \name
    nsi_enter_all 32
    str r0, [sp]
    ldr r1, [r0, #16]
    str r1, [sp, #4]
    ldr r1, [r0, #36]
    mov r2, #0
    lsl r3, r1, #1
    add r4, r3, r1
    vmov q6[2], q6[0], r2, r3
    vmov q6[3], q6[1], r1, r4
    vadd.i32 q5, q6, r3             // two columns further
    lsl r11, r1, #2                 // two outputs
    ldrd r1, r3, [r0, #44]
    add r4, r3, r1
    vmov q7[2], q7[0], r2, r1
    vmov q7[3], q7[1], r3, r4
    lsl r9, r1, #1
    .if !\corrected
    mov r7, #128
    .else
    ldr r7, [r0, #52]
    .endif
1:  ldr r0, [sp]
    ldrd r1, r2, [r0]
    ldrd r4, r5, [r0, #8]
    vldrb.u8 q2, [r2]
    ldrd r8, r10, [r4]
    ldr r12, [r4, #8]
    add r6, r1, #4
    add r2, r2, #16
    strd r6, r2, [r0]
    add r4, r4, #12
    add r6, r5, #1
    strd r4, r6, [r0, #8]
    ldr r6, [r0, #20]
    strd r1, r5, [sp, #12]
    cmp r6, #0
    beq.w 5f
2:  str r6, [sp, #8]
    vldrw.u32 q0, [r1, q6]
    ldr r2, [r0, #40]
    ldr lr, [r0, #28]
    add r3, r1, r2
    vldrw.u32 q1, [r1, q5]
    dls lr, lr
3:  nsi_group \corrected, 0
    le lr, 3b
    ldr r0, [sp]
    ldr r2, [r0, #32]
    cmp r2, #0
    beq 4f
    ldr r2, [r0, #56]
    str r2, [sp, #20]
    nsi_group \corrected, 1
    ldr r0, [sp]
4:  ldrd r1, r5, [sp, #12]
    ldr r2, [r0, #40]
    ldr r3, [r0, #48]
    ldr r6, [sp, #8]
    add r1, r1, r2, lsl #1
    add r5, r5, r3, lsl #1
    strd r1, r5, [sp, #12]
    subs r6, r6, #1
    bne 2b
5:  ldr r2, [r0, #24]
    cmp r2, #0
    beq.w 7f
    // A single row: the other one is not stored.
    vldrw.u32 q0, [r1, q6]
    ldr r2, [r0, #60]
    str r2, [sp, #20]
    mov r3, r1
    ldr lr, [r0, #28]
    vldrw.u32 q1, [r1, q5]
    dls lr, lr
6:  nsi_group \corrected, 1
    le lr, 6b
    ldr r0, [sp]
    ldr r2, [r0, #32]
    cmp r2, #0
    beq 7f
    ldr r2, [r0, #64]
    str r2, [sp, #20]
    nsi_group \corrected, 1
7:  ldr r1, [sp, #4]
    subs r1, r1, #1
    str r1, [sp, #4]
    bne.w 1b
    nsi_leave_all 32
    nsi_end \name
    .endm
    nsi_depthwise_2 no_std_infer_mve_depthwise_2_relu, 0
    nsi_depthwise_2 no_std_infer_mve_depthwise_2_any, 1
