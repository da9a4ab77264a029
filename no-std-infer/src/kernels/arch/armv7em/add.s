    // Sums of elements, requantised.
    // r0: arguments: 0 first summand, 4 second, 8 output, 12 elements, 16 the second's table, 20 mantissa, 24 rounding,
    //   28 shift, 32 the first's table.

    // Both summands, doubled: r8 is twice their sum.
    .macro nsi_add_one at
    ldrsb r8, [r0, #\at]
    ldrb r9, [r1, #\at]
    ldr r9, [r4, r9, lsl #2]
    add r8, r9, r8, lsl #20
    .endm
    .macro nsi_add_two at
    ldrb r8, [r0, #\at]
    ldrb r9, [r1, #\at]
    ldr r8, [r10, r8, lsl #2]
    ldr r9, [r4, r9, lsl #2]
    add r8, r8, r9
    .endm
    .macro nsi_add_store at
    nsi_requantise r8, r9, r5, r6, r7
    strb r9, [r2, #\at]
    .endm

    .macro nsi_add name, sum
    nsi_function \name
    nsi_enter 10
    ldm r0, {r0-r7, r10}
    lsrs r12, r3, #3
    beq 2f
1:
    .irp at, 0, 1, 2, 3, 4, 5, 6, 7
    \sum \at
    nsi_add_store \at
    .endr
    add r0, r0, #8
    add r1, r1, #8
    add r2, r2, #8
    subs r12, r12, #1
    bne 1b
2:  ands r3, r3, #7
    beq 4f
3:  \sum 0
    nsi_add_store 0
    add r0, r0, #1
    add r1, r1, #1
    add r2, r2, #1
    subs r3, r3, #1
    bne 3b
4:  nsi_leave 10
    nsi_end \name
    .endm

    nsi_add no_std_infer_add_one, nsi_add_one
    nsi_add no_std_infer_add_two, nsi_add_two

    .purgem nsi_add_one
    .purgem nsi_add_two
    .purgem nsi_add_store
    .purgem nsi_add
