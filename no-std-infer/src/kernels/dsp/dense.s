    // Sums of products of one vector with four others.
    // r0 vector, r1 first of the others, r2 bytes from one to the next, r3 groups of four elements (1 or more), [sp] sums.
    // r4-r7 sums; r8 and r9 elements of the vector, r10 and r11 of another, widened; r12 = 3 * r2.
    .syntax unified

    .macro nsi_dense_row sum, address:vararg
    ldr r10, [\address]
    sxtb16 r11, r10, ror #8
    sxtb16 r10, r10
    smlad \sum, r8, r10, \sum
    smlad \sum, r9, r11, \sum
    .endm

    .section .text.no_std_infer_dense, "ax", %progbits
    .p2align 2
    .global no_std_infer_dense
    .thumb_func
    .type no_std_infer_dense, %function
no_std_infer_dense:
    push {r4-r11, lr}
    add r12, r2, r2, lsl #1
    mov r4, #0
    mov r5, #0
    mov r6, #0
    mov r7, #0
1:  ldr r8, [r0], #4
    sxtb16 r9, r8, ror #8
    sxtb16 r8, r8
    nsi_dense_row r4, r1
    nsi_dense_row r5, r1, r2
    nsi_dense_row r6, r1, r2, lsl #1
    nsi_dense_row r7, r1, r12
    add r1, r1, #4
    subs r3, r3, #1
    bne 1b
    ldr r0, [sp, #36]
    stm r0, {r4-r7}
    pop {r4-r11, pc}
    .size no_std_infer_dense, . - no_std_infer_dense

    .purgem nsi_dense_row
