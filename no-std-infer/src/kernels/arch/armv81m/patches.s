    // Put patches of output pixels into a panel: vector by vector the 16 bytes of four pixels.
    // r0: arguments: 0 panel, from the first of the pixels on, 4 runs, 8 bytes of a run, 12 bytes from run to run, 16 the first
    //   pixel's first run, 20 bytes from pixel to pixel, 24 pixels, 28 line, 32 vectors of a patch

    // Four pixels whose runs are whole vectors.
    // r1 panel, r2 runs, r3 vectors of a run, r4 from the end of a run to the next, r5-r8 the pixels' runs
    nsi_function no_std_infer_mve_four_patches
    nsi_enter 9
    ldrd r1, r2, [r0]
    ldrd r3, r4, [r0, #8]
    ldrd r5, r9, [r0, #16]
    sub r4, r4, r3
    lsr r3, r3, #4
    add r6, r5, r9
    add r7, r6, r9
    add r8, r7, r9
1:  dls lr, r3
2:  vldrb.u8 q0, [r5], #16
    vldrb.u8 q1, [r6], #16
    vldrb.u8 q2, [r7], #16
    vldrb.u8 q3, [r8], #16
    vstrb.8 q1, [r1, #16]
    vstrb.8 q2, [r1, #32]
    vstrb.8 q3, [r1, #48]
    vstrb.8 q0, [r1], #64
    le lr, 2b
    subs r2, r2, #1
    add r5, r5, r4
    add r6, r6, r4
    add r7, r7, r4
    add r8, r8, r4
    bne 1b
    nsi_leave 9
    nsi_end no_std_infer_mve_four_patches

    // The same, any number of pixels.
    // r1 panel, r2 runs, r3 vectors of a run, r4 from the end of a run to the next, r5 run, r6 first run, r7 pixels
    nsi_function no_std_infer_mve_vectors
    nsi_enter 10
    ldrd r1, r10, [r0]
    ldrd r3, r4, [r0, #8]
    ldrd r6, r9, [r0, #16]
    ldr r7, [r0, #24]
    sub r4, r4, r3
    lsr r3, r3, #4
1:  mov r5, r6
    mov r8, r1
    mov r2, r10
2:  dls lr, r3
3:  vldrb.u8 q0, [r5], #16
    vstrb.8 q0, [r8], #64
    le lr, 3b
    add r5, r5, r4
    subs r2, r2, #1
    bne 2b
    add r6, r6, r9
    add r1, r1, #16
    subs r7, r7, #1
    bne 1b
    nsi_leave 10
    nsi_end no_std_infer_mve_vectors

    // Three runs of half a vector or more, which take two vectors together: a convolution of 3x3 over colours. What is stored
    // beyond a run is 0, or overwritten by the next one; the last reaches the second vector's end.
    // r1 panel, r2, r3 of the line the second and third run, r4 line, r5-r7 runs, r9 from pixel to pixel
    nsi_function no_std_infer_mve_three_runs
    nsi_enter 9
    ldr r1, [r0]
    ldrd r2, r3, [r0, #8]
    ldrd r5, r9, [r0, #16]
    ldrd r8, r4, [r0, #24]
    vctp.8 r2
    add r6, r5, r3
    add r7, r6, r3
    add r3, r4, r2, lsl #1
    add r2, r4, r2
    dls lr, r8
1:  vpsttt
    vldrbt.u8 q0, [r5]
    vldrbt.u8 q1, [r6]
    vldrbt.u8 q2, [r7]
    vstrb.8 q0, [r4]
    add r5, r5, r9
    vstrb.8 q1, [r2]
    add r6, r6, r9
    vstrb.8 q2, [r3]
    add r7, r7, r9
    vldrb.u8 q0, [r4]
    vldrb.u8 q1, [r4, #16]
    vstrb.8 q1, [r1, #64]
    vstrb.8 q0, [r1], #16
    le lr, 1b
    nsi_leave 9
    nsi_end no_std_infer_mve_three_runs

    // Runs of any other length, put together in a line.
    // r1 panel, r2 pixels, r3 run, r4 its length, r5 from run to run, r8 first run of the pixel, r9 from pixel to pixel, r10 line,
    // r11 vectors, r12 runs
    nsi_function no_std_infer_mve_patches
    nsi_enter 11
    ldrd r1, r12, [r0]
    ldrd r4, r5, [r0, #8]
    ldrd r8, r9, [r0, #16]
    ldrd r2, r10, [r0, #24]
    ldr r11, [r0, #32]
    vmov.i32 q1, #0
    vctp.8 r4
    cmp r4, #16
    bhi 5f
    cmp r12, #1
    beq 8f
    // Runs of at most a vector. What is stored beyond a run is 0, or overwritten by the next one.
1:  mov r3, r8
    mov r7, r10
    dls lr, r12
2:  vpst
    vldrbt.u8 q0, [r3]
    add r3, r3, r5
    vstrb.8 q0, [r7]
    add r7, r7, r4
    le lr, 2b
3:  vstrb.8 q1, [r7]
    mov r7, r10
    mov r6, r1
    dls lr, r11
4:  vldrb.u8 q0, [r7], #16
    vstrb.8 q0, [r6], #64
    le lr, 4b
    add r1, r1, #16
    add r8, r8, r9
    subs r2, r2, #1
    beq 9f
    cmp r4, #16
    bls 1b
    b 6f
    // Longer ones; r5 is from the end of a run's last vector to the next run.
5:  add r6, r4, #15
    bic r6, r6, #15
    sub r5, r5, r6
6:  mov r3, r8
    mov r6, r10
    mov r0, r12
10: mov r7, r6
    dlstp.8 lr, r4
7:  vldrb.u8 q0, [r3], #16
    vstrb.8 q0, [r7], #16
    letp lr, 7b
    add r3, r3, r5
    add r6, r6, r4
    subs r0, r0, #1
    bne 10b
    mov r7, r6
    b 3b
    // A single run of at most a vector.
8:  vpst
    vldrbt.u8 q0, [r8]
    add r8, r8, r9
    vstrb.8 q0, [r1], #16
    subs r2, r2, #1
    bne 8b
9:  nsi_leave 11
    nsi_end no_std_infer_mve_patches
