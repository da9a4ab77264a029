    // Four channels over a window. r0 first element, r1 bytes from column to column, r2 columns (1 or more), r3 rows
    // (1 or more), [sp] bytes from row to row.
    .syntax unified

    // Takes the elements \x into account: sums r5 (channels 0 and 2) and r6 (channels 1 and 3), or the largest r5.
    .macro nsi_pool_sum x
    sxtab16 r5, r5, \x
    sxtab16 r6, r6, \x, ror #8
    .endm
    .macro nsi_pool_max x
    ssub8 r6, r5, \x
    sel r5, r5, \x
    .endm

    .macro nsi_pool name, take, start
    .section .text.\name, "ax", %progbits
    .p2align 2
    .global \name
    .thumb_func
    .type \name, %function
\name:
    push {r4-r8, lr}
    ldr r4, [sp, #24]
    mls r4, r1, r2, r4
    add lr, r1, r1, lsl #1
    mov r5, #\start
    mov r6, #0
1:  lsrs r12, r2, #2
    beq 3f
2:  ldr r7, [r0]
    ldr r8, [r0, r1]
    \take r7
    \take r8
    ldr r7, [r0, r1, lsl #1]
    ldr r8, [r0, lr]
    add r0, r0, r1, lsl #2
    \take r7
    \take r8
    subs r12, r12, #1
    bne 2b
3:  tst r2, #2
    beq 4f
    ldr r7, [r0]
    ldr r8, [r0, r1]
    add r0, r0, r1, lsl #1
    \take r7
    \take r8
4:  tst r2, #1
    beq 5f
    ldr r7, [r0]
    add r0, r0, r1
    \take r7
5:  add r0, r0, r4
    subs r3, r3, #1
    bne 1b
    mov r0, r5
    mov r1, r6
    pop {r4-r8, pc}
    .size \name, . - \name
    .endm

    nsi_pool no_std_infer_sum, nsi_pool_sum, 0
    nsi_pool no_std_infer_max, nsi_pool_max, 0x80808080

    // Sums of eight channels, the first of them at a multiple of 4 as are all columns: r0-r3 as above, [sp] bytes from
    // row to row, [sp, #4] the sums: of channels 0 and 2, 1 and 3, 4 and 6, 5 and 7.
    .section .text.no_std_infer_sum_eight, "ax", %progbits
    .p2align 2
    .global no_std_infer_sum_eight
    .thumb_func
    .type no_std_infer_sum_eight, %function
    .macro nsi_pool_eight
    ldrd r8, r9, [r0]
    add r0, r0, r1
    sxtab16 r4, r4, r8
    sxtab16 r5, r5, r8, ror #8
    sxtab16 r6, r6, r9
    sxtab16 r7, r7, r9, ror #8
    .endm
no_std_infer_sum_eight:
    push {r4-r10, lr}
    ldr r10, [sp, #32]
    mls r10, r1, r2, r10
    mov r4, #0
    mov r5, #0
    mov r6, #0
    mov r7, #0
1:  lsrs r12, r2, #2
    beq 3f
2:  nsi_pool_eight
    nsi_pool_eight
    nsi_pool_eight
    nsi_pool_eight
    subs r12, r12, #1
    bne 2b
3:  ands r12, r2, #3
    beq 5f
4:  nsi_pool_eight
    subs r12, r12, #1
    bne 4b
5:  add r0, r0, r10
    subs r3, r3, #1
    bne 1b
    ldr r0, [sp, #36]
    stm r0, {r4-r7}
    pop {r4-r10, pc}
    .size no_std_infer_sum_eight, . - no_std_infer_sum_eight

    .purgem nsi_pool_eight
    .purgem nsi_pool_sum
    .purgem nsi_pool_max
    .purgem nsi_pool
