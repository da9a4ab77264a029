    // The sum of two tensors, four elements at a time.
    // r0: arguments: 0 first summand, 4 second, 8 output, 12 elements (1 or more), 16 table of the second, 20 mantissa,
    //   24 zero point of the output, 28 minus the right shift, 32 table of the first
    // \two: whether the first has a table; \corrected: whether ties need a correction, see `insn.rs`.
    .macro nsi_add name, two, corrected
    nsi_function \name
    nsi_enter 7
    ldrd r1, r2, [r0]
    ldrd r3, r4, [r0, #8]
    ldrd r5, r6, [r0, #16]
    ldrd r7, r12, [r0, #24]
    vdup.32 q3, r6
    .if \two
    ldr r6, [r0, #32]
    .else
    mov r6, #0x100000
    .endif
    dlstp.32 lr, r4
    .if \two
1:  vldrb.u32 q0, [r1], #4
    .else
1:  vldrb.s32 q0, [r1], #4
    .endif
    vldrb.u32 q1, [r2], #4
    vldrw.u32 q2, [r5, q1, uxtw #2]
    .if \two
    vldrw.u32 q1, [r6, q0, uxtw #2]
    vadd.i32 q2, q2, q1
    .else
    vmla.s32 q2, q0, r6
    .endif
    .if \corrected
    vshr.s32 q1, q2, #31
    .endif
    vrmulh.s32 q2, q2, q3
    .if \corrected
    vadd.i32 q2, q2, q1
    .endif
    vrshl.s32 q2, r12
    vqmovnb.s32 q2, q2
    vqadd.s16 q2, q2, r7
    vqmovnb.s16 q2, q2
    vstrb.32 q2, [r3], #4
    letp lr, 1b
    nsi_leave 7
    nsi_end \name
    .endm
    nsi_add no_std_infer_mve_add_one_relu, 0, 0
    nsi_add no_std_infer_mve_add_one_any, 0, 1
    nsi_add no_std_infer_mve_add_two_relu, 1, 0
    nsi_add no_std_infer_mve_add_two_any, 1, 1
