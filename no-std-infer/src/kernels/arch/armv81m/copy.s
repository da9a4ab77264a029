    // Copies bytes from low addresses to high ones.
    // r0 target, r1 source, r2 bytes
    nsi_function no_std_infer_mve_copy
    nsi_enter 4
    wlstp.8 lr, r2, 2f
1:  vldrb.u8 q0, [r1], #16
    vstrb.8 q0, [r0], #16
    letp lr, 1b
2:  nsi_leave 4
    nsi_end no_std_infer_mve_copy
