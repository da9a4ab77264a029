    // One vector times the weights of outputs, four at a time.
    // r0 vector, r1 blocks, r2 end of the vector (after a multiple of 4 bytes, at least 4), r3: 0 parameters of the outputs,
    // 4 groups of four outputs to do (1 or more), 8 output, 12 zero point, 16 sums. Ends when none is left to do, or before one
    // with a result that the upper bits of its factor do not decide, whose sums it leaves. Writes words without alignment.
    // r2 end of the segment; r3, r5: sums of outputs 0 and 2; r4, r6: with those of outputs 1 and 3, 256 times; r7, r8
    // elements; r9 end of the vector; r10-r12, lr weights. On the stack: 0 sums of the segments before, 16 vector, 20 end of
    // the first segment, 24 where its first round starts, 28 end of the vector, 32 r3, 36 blocks of the next outputs
    .syntax unified
    .section .text.no_std_infer_dense, "ax", %progbits
    .p2align 2
    .global no_std_infer_dense
    .thumb_func
    .type no_std_infer_dense, %function

    // A block in 64 bytes.
    .macro nsi_block
    ldr r7, [r0], #4
    sxtb16 r8, r7, ror #8
    sxtb16 r7, r7
    ldm r1!, {r10-r12, lr}
    smlad r4, r10, r7, r4
    smlad r4, r11, r8, r4
    smlad r6, r12, r7, r6
    smlad r6, lr, r8, r6
    sxtb16 r10, r10
    sxtb16 r11, r11
    sxtb16 r12, r12
    sxtb16 lr, lr
    smlad r3, r10, r7, r3
    smlad r3, r11, r8, r3
    smlad r5, r12, r7, r5
    smlad r5, lr, r8, r5
    .endm
    // \sum, of one output, to its result: as `DoubleMultiplier::apply` with the upper 31 bits of the factor.
    // r1 parameters, r2 zero point, r12 1021, lr 1.
    .macro nsi_scale sum
    ldm r1!, {r7-r9}
    add \sum, \sum, r7
    sub r10, r12, r9, lsr #20
    bfi r9, lr, #20, #12
    lsl r9, r9, #10
    orr r9, r9, r8, lsr #22
    smmul r9, \sum, r9
    sub r11, r10, #2
    cmp r11, #28
    bhi 4f
    lsl r7, lr, r10
    add r9, r9, r7, lsr #1
    add r8, r9, #1
    sub r7, r7, #2
    tst r8, r7
    beq 4f
    asr r9, r9, r10
    add r9, r9, r2
    ssat \sum, #8, r9
    .endm

no_std_infer_dense:
    push {r4-r11, lr}
    sub sp, sp, #44
    strd r2, r3, [sp, #28]
    // The first segment has what is beyond a multiple of 256 bytes, its first round what is beyond one of 4 blocks.
    sub r2, r2, r0
    rsb r7, r2, #0
    ubfx r7, r7, #2, #2
    adr r8, 2f
    add r8, r8, r7, lsl #6
    orr r8, r8, #1
    sub r2, r2, #1
    uxtab r2, r0, r2
    add r2, r2, #1
    strd r0, r2, [sp, #16]
    str r8, [sp, #24]

1:  mov r3, #0
    mov r4, #0
    mov r5, #0
    mov r6, #0
    stm sp, {r3-r6}
    ldrd r0, r2, [sp, #16]
    ldr r9, [sp, #28]
    ldr pc, [sp, #24]
    .p2align 2
2:  .rept 4
    nsi_block
    .endr
    cmp r0, r2
    bne 2b
    sub r4, r4, r3
    sub r6, r6, r5
    ldm sp, {r7, r8, r10, r11}
    add r3, r7, r3
    add r4, r8, r4, asr #8
    add r5, r10, r5
    add r6, r11, r6, asr #8
    cmp r0, r9
    beq 3f
    stm sp, {r3-r6}
    mov r3, #0
    mov r4, #0
    mov r5, #0
    mov r6, #0
    add r2, r0, #256
    b 2b

3:  str r1, [sp, #36]
    ldr r0, [sp, #32]
    add r7, r0, #16
    stm r7, {r3-r6}
    ldr r1, [r0]
    ldr r2, [r0, #12]
    movw r12, #1021
    mov lr, #1
    nsi_scale r3
    nsi_scale r4
    nsi_scale r5
    nsi_scale r6
    bfi r3, r4, #8, #8
    bfi r3, r5, #16, #8
    bfi r3, r6, #24, #8
    str r1, [r0]
    ldrd r7, r8, [r0, #4]
    str r3, [r8], #4
    subs r7, r7, #1
    strd r7, r8, [r0, #4]
    ldr r1, [sp, #36]
    bne 1b
4:  add sp, sp, #44
    pop {r4-r11, pc}
    .size no_std_infer_dense, . - no_std_infer_dense
    .purgem nsi_block
    .purgem nsi_scale
