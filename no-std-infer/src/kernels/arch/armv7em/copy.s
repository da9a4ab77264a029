    // Copies bytes from low addresses to high ones.
    // r0 target, r1 source, r2 bytes
    nsi_function no_std_infer_copy
    nsi_enter 10
    orr r3, r0, r1
    tst r3, #3
    bne 3f
    subs r2, r2, #32
    blo 2f
1:  ldm r1!, {r3-r10}
    stm r0!, {r3-r10}
    subs r2, r2, #32
    bhs 1b
2:  adds r2, r2, #32
3:  subs r2, r2, #16
    blo 5f
4:  ldr r3, [r1], #16
    ldr r4, [r1, #-12]
    ldr r5, [r1, #-8]
    ldr r6, [r1, #-4]
    str r3, [r0], #16
    str r4, [r0, #-12]
    str r5, [r0, #-8]
    str r6, [r0, #-4]
    subs r2, r2, #16
    bhs 4b
5:  adds r2, r2, #16
    beq 7f
6:  ldrb r3, [r1], #1
    strb r3, [r0], #1
    subs r2, r2, #1
    bne 6b
7:  nsi_leave 10
    nsi_end no_std_infer_copy
