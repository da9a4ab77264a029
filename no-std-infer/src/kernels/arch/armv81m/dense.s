    // The sum of products of two vectors.
    // r0 first, r1 second, r2 elements (1 or more); the sum in r0
    nsi_function no_std_infer_mve_dot
    nsi_enter 4
    mov r4, #0
    dlstp.8 lr, r2
1:  vldrb.u8 q0, [r0], #16
    vldrb.u8 q1, [r1], #16
    vmladava.s8 r4, q0, q1
    letp lr, 1b
    mov r0, r4
    nsi_leave 4
    nsi_end no_std_infer_mve_dot
