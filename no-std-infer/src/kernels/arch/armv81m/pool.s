    // The largest of the values under windows that lie in a row, 16 channels at a time.
    // r0: arguments: 0 the first window's first value, 4 output, 8 bytes from column to column, 12 columns, 16 bytes from the end of
    //   a window's row to the next, 20 rows, 24 channels, 28 windows, all of them 1 or more, 32 bytes from window to window, 36
    //   least output, 40 largest
    // r1 window, r2 output, r3 from column to column, r4 columns, r5 to the next row, r6 rows, r7 channels left, r8 value,
    // r9 rows left, r10 windows left, r11 from window to window, r12 the window's next channels; q0 largest so far
    nsi_function no_std_infer_mve_max
    nsi_enter 11
    ldrd r8, r9, [r0, #36]
    ldrd r1, r2, [r0]
    vdup.8 q2, r8
    ldrd r3, r4, [r0, #8]
    vdup.8 q3, r9
    ldrd r5, r6, [r0, #16]
    ldrd r10, r11, [r0, #28]
1:  ldr r7, [r0, #24]
    mov r12, r1
2:  vctp.8 r7
    mov r8, r12
    vmov q0, q2
    mov r9, r6
3:  dls lr, r4
4:  vpst
    vldrbt.u8 q1, [r8]
    add r8, r8, r3
    vmax.s8 q0, q0, q1
    le lr, 4b
    subs r9, r9, #1
    add r8, r8, r5
    bne 3b
    vmin.s8 q0, q0, q3
    vpst
    vstrbt.8 q0, [r2], #16
    add r12, r12, #16
    subs r7, r7, #16
    bhi 2b
    add r2, r2, r7
    subs r10, r10, #1
    add r1, r1, r11
    bne 1b
    nsi_leave 11
    nsi_end no_std_infer_mve_max
