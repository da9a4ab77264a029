    // A matrix product, four output channels by four pixels at a time: two pairs of channels, (0, 2) and (1, 3), so that their
    // sums fill the eight even registers; the sum of 16 products is one VMLADAVA.
    // r0: arguments: 0 panel, 4 weights, 8 parameters (bias, mantissa, shift), 12 output, 16 groups of four channels, 20 bytes of a
    //   row of weights, 24 bytes between pixels, a multiple of 4, 28 vectors of a patch, 32 zero point of the output, 36 panels (1
    //   or more), the output of one right after that of the one before, 40 what fills the panel, or 0 where it is full
    // What fills it: 0 function that puts the next patches into the panel and keeps r4 to r11 and q4 to q7, 4 bytes from one
    //   panel's source to that of the next, 8 the function's arguments: of these 20 bytes from run to run, 24 source, which is
    //   moved on
    // Panel: vector by vector the 16 bytes of four pixels; what is beyond the patch in the last vector is 0, so that other
    // weights may be read there: those of the next row, but none beyond the last row, whose load is predicated.
    // Of patches that are read in place the first argument is the first pixel's, and each panel's are four pixels further.
    // Of a function's two versions one is for outputs whose zero point is -128, where ties need no correction: see `insn.rs`.

    // r1 panel, r3 and r5 rows of weights, r7 parameters, r9 temporary and rounds, r11 output; q0, q1 weights; q2, q3 pixels; q4,
    // q5 sums and results of a pair; q6 results of the first pair; q7 offsets of the four pixels; p0 bytes of the last vector
    // Frame: 0 panel, 4 row - 16 * vectors, 8 the same and two rows more, 12 groups, 16, 20 entries of the middle vectors,
    // 24 rounds of them, 28 zero point, 32 arguments, 36 panels, 40 output, 44 bytes of the last vector

    // A vector of 16 elements; but for the \last one of a row, the next weights and pixel are loaded too.
    .macro nsi_chunk op, last
    \op\().s8 r0, q0, q2
    .if \last
    vpst
    vldrbt.u8 q1, [r5], #16
    .else
    vldrb.u8 q1, [r5], #16
    .endif
    \op\().s8 r8, q1, q2
    vldrb.u8 q3, [r1], #16
    \op\().s8 r2, q0, q3
    \op\().s8 r10, q1, q3
    vldrb.u8 q2, [r1], #16
    \op\().s8 r4, q0, q2
    \op\().s8 r12, q1, q2
    vldrb.u8 q3, [r1], #16
    \op\().s8 r6, q0, q3
    .if !\last
    vldrb.u8 q0, [r3], #16
    .endif
    \op\().s8 lr, q1, q3
    .if !\last
    vldrb.u8 q2, [r1], #16
    .endif
    .endm

    // A vector of a patch of three runs of three vectors whose pixels are a vector apart: the pixels' are read where they lie, the
    // \at-th of a run, at whose start r1 points. r9: bytes from run to run.
    .macro nsi_chunk_in_place op, at, last=0
    \op\().s8 r0, q0, q2
    vldrb.u8 q1, [r5], #16
    \op\().s8 r8, q1, q2
    vldrb.u8 q3, [r1, #(16 * \at + 16)]
    \op\().s8 r2, q0, q3
    \op\().s8 r10, q1, q3
    vldrb.u8 q2, [r1, #(16 * \at + 32)]
    \op\().s8 r4, q0, q2
    \op\().s8 r12, q1, q2
    vldrb.u8 q3, [r1, #(16 * \at + 48)]
    \op\().s8 r6, q0, q3
    .if !\last
    vldrb.u8 q0, [r3], #16
    .if \at == 2
    add r1, r1, r9
    .endif
    .endif
    \op\().s8 lr, q1, q3
    .if !\last
    .if \at == 2
    vldrb.u8 q2, [r1]
    .else
    vldrb.u8 q2, [r1, #(16 * \at + 16)]
    .endif
    .endif
    .endm
    .macro nsi_sums_in_place
    vldrb.u8 q0, [r3], #16
    nsi_chunk_in_place vmladav, 0
    .irp at, 1, 2, 0, 1, 2, 0, 1
    nsi_chunk_in_place vmladava, \at
    .endr
    nsi_chunk_in_place vmladava, 2, 1
    .endm

    // The sums of a pair of channels. \vectors: how many a patch has, 0 for any number from three on, -9 for the nine of a patch
    // that is read in place.
    .macro nsi_sums vectors, entry
    .if \vectors == -9
    nsi_sums_in_place
    .elseif \vectors == 1
    vpst
    vldrbt.u8 q0, [r3], #16
    nsi_chunk vmladav, 1
    .else
    vldrb.u8 q0, [r3], #16
    nsi_chunk vmladav, 0
    .if \vectors == 0
    ldr r9, [sp, #24]
    ldr pc, [sp, #\entry]
8:  .rept 8
    nsi_chunk vmladava, 0
    .endr
    .if \entry == 16
31:
    .else
32:
    .endif
    subs r9, r9, #1
    bgt 8b
    .else
    .rept \vectors - 2
    nsi_chunk vmladava, 0
    .endr
    .endif
    nsi_chunk vmladava, 1
    .endif
    .endm

    // Loads the first vector of the first pixel.
    .macro nsi_first_pixel vectors
    .if \vectors == -9
    vldrb.u8 q2, [r1]
    .else
    vldrb.u8 q2, [r1], #16
    .endif
    .endm

    // Requantises a pair's sums to halfwords in \to; its parameters are at r7 + \at and r7 + \at + 24. The rows of weights move
    // by what is in the frame at \next. \vectors: as above.
    .macro nsi_results to, at, corrected, next, vectors
    vmov q4[2], q4[0], r0, r4
    ldrd r0, r4, [r7, #\at]
    vmov q4[3], q4[1], r2, r6
    ldrd r2, r6, [r7, #(\at + 24)]
    vadd.i32 q4, q4, r0
    vmov q5[2], q5[0], r8, r12
    ldr r0, [sp, #\next]
    vmov q5[3], q5[1], r10, lr
    ldr r8, [r7, #(\at + 8)]
    ldr r10, [r7, #(\at + 32)]
    .if \corrected
    vshr.s32 q2, q4, #31
    vqrdmlah.s32 q2, q4, r4
    vadd.i32 q5, q5, r2
    ldr r1, [sp]
    vshr.s32 q3, q5, #31
    vqrdmlah.s32 q3, q5, r6
    vrshl.s32 q2, r8
    add r3, r3, r0
    add r5, r5, r0
    vqmovnb.s32 \to, q2
    vrshl.s32 q3, r10
    nsi_first_pixel \vectors
    vqmovnt.s32 \to, q3
    .else
    vqrdmulh.s32 q4, q4, r4
    vadd.i32 q5, q5, r2
    ldr r1, [sp]
    vqrdmulh.s32 q5, q5, r6
    vrshl.s32 q4, r8
    add r3, r3, r0
    add r5, r5, r0
    nsi_first_pixel \vectors
    vrshl.s32 q5, r10
    vqmovnb.s32 \to, q4
    vqmovnt.s32 \to, q5
    .endif
    .endm

    .macro nsi_gemm name, vectors, corrected
    nsi_function \name
    nsi_enter_all 48
    ldrd r1, r4, [r0, #16]
    ldrd r6, r8, [r0, #24]
    ldrd r10, r2, [r0, #32]
    ldr r1, [r0]
    ldr r11, [r0, #12]
    sub r12, r4, r8, lsl #4
    add lr, r12, r4, lsl #1
    strd r1, r12, [sp]
    str lr, [sp, #8]
    str r10, [sp, #28]
    strd r0, r2, [sp, #32]
    sub r9, r8, #1
    sub r9, r4, r9, lsl #4
    strd r11, r9, [sp, #40]
    .if \vectors == 0
    // All but the first vector and the last one: eight a round, the first round has what is beyond a multiple of eight.
    subs r8, r8, #2
    add r9, r8, #7
    lsr r9, r9, #3
    str r9, [sp, #24]
    it ne
    subne r8, r8, #1
    it ne
    andne r8, r8, #7
    it ne
    addne r8, r8, #1
    mov r9, #56
    mul r8, r8, r9
    adr r9, 6f
    b 7f
    .p2align 2
6:  .word 31f + 1
    .word 32f + 1
7:  ldrd r10, r12, [r9]
    sub r10, r10, r8
    sub r12, r12, r8
    strd r10, r12, [sp, #16]
    .endif
    mov r12, #0
    lsl r8, r6, #1
    add r10, r8, r6
    vmov q7[2], q7[0], r12, r8
    vmov q7[3], q7[1], r6, r10
    // A panel.
5:  ldr r4, [sp, #32]
    .if \vectors == -9
    ldr r1, [r4]
    add r0, r1, #64
    str r0, [r4]
    str r1, [sp]
    ldrd r3, r7, [r4, #4]
    .else
    ldr r6, [r4, #40]
    cbz r6, 4f
    ldr r3, [r6]
    add r0, r6, #8
    blx r3
    ldr r0, [r6, #4]
    ldr r1, [r6, #24]
    add r1, r1, r0
    str r1, [r6, #24]
4:  ldrd r1, r3, [r4]
    ldr r7, [r4, #8]
    .endif
    ldrd r2, r6, [r4, #16]
    ldrd r11, r9, [sp, #40]
    add r5, r3, r6, lsl #1
    str r2, [sp, #12]
    nsi_first_pixel \vectors
    .if \vectors == -9
    ldr r9, [r4, #40]
    ldr r9, [r9, #20]
    .else
    vctp.8 r9
    .endif
1:  nsi_sums \vectors, 16
    nsi_results q6, 0, \corrected, 4, \vectors
    nsi_sums \vectors, 20
    nsi_results q4, 12, \corrected, 8, \vectors
    .if \corrected
    ldr r0, [sp, #28]
    vqadd.s16 q6, q6, r0
    ldr r2, [sp, #12]
    vqadd.s16 q4, q4, r0
    vqmovnb.s16 q6, q6
    vqmovnt.s16 q6, q4
    .else
    vqmovunb.s16 q6, q6
    mov r0, #128
    vqmovunt.s16 q6, q4
    ldr r2, [sp, #12]
    vadd.i8 q6, q6, r0
    .endif
    add r7, r7, #48
    subs r2, r2, #1
    str r2, [sp, #12]
    vstrw.32 q6, [r11, q7]
    add r11, r11, #4
    bne.w 1b
    ldrd r4, r2, [sp, #32]
    ldr r6, [r4, #24]
    ldr r11, [sp, #40]
    subs r2, r2, #1
    add r11, r11, r6, lsl #2
    strd r2, r11, [sp, #36]
    bne.w 5b
    nsi_leave_all 48
    nsi_end \name
    .endm

    .irp vectors, 1, 2, 3, 4
    nsi_gemm no_std_infer_mve_gemm_\vectors\()_relu, \vectors, 0
    nsi_gemm no_std_infer_mve_gemm_\vectors\()_any, \vectors, 1
    .endr
    nsi_gemm no_std_infer_mve_gemm_3x3_relu, -9, 0
    nsi_gemm no_std_infer_mve_gemm_3x3_any, -9, 1
    nsi_gemm no_std_infer_mve_gemm_relu, 0, 0
    nsi_gemm no_std_infer_mve_gemm_any, 0, 1
