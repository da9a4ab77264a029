    // One vector times the weights of outputs, four at a time.
    // r0 vector, r2 its length (a multiple of 4, at least 4), r1: 0 four zeros, 16 blocks, 20 parameters of the outputs,
    // 24 zero point, 28 outputs to do (1 or more), 32 output. Ends when none is left to do, or before four with a result that
    // the upper bits of its factor do not decide, whose sums it leaves in place of the zeros; then the blocks are already the
    // next ones. Words of the vector and of the output need no alignment.
    // r1 where to go after the segment; r2 its end; r3, r5: sums of outputs 0 and 2; r4, r6: with those of outputs 1 and 3,
    // 256 times; r7, r8 elements; r9 blocks; r10-r12, lr weights. On the stack: 0 vector, 4 r1, 8 its length

    // A block in 64 bytes.
    .macro nsi_block
    ldr r7, [r0], #4
    sxtb16 r8, r7, ror #8
    sxtb16 r7, r7
    ldm r9!, {r10-r12, lr}
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
    // \sum, of one output, to its result: as `DoubleMultiplier::apply` with the upper 31 bits of the factor. Where the bits
    // to be shifted out are all equal, as for shifts of 0 and 1 they always are, it is undecided. Shifts below 0 count as 0,
    // and those above 31 as 31: then the product is below 1/2, and 31 gives 0 too.
    // r1 parameters, r2 zero point, r11 -1, r12 1021, whose last two bits, 01, are the factor's first.
    .macro nsi_scale sum
    ldm r1!, {r7-r9}
    add \sum, \sum, r7
    sub r10, r12, r9, lsr #20
    usat r10, #5, r10
    bfi r9, r12, #20, #12
    lsl r9, r9, #10
    orr r9, r9, r8, lsr #22
    smmul r9, \sum, r9
    lsl r7, r11, r10
    sub r9, r9, r7, asr #1
    eor r8, r9, r9, lsr #1
    bics r8, r8, r7, asr #1
    beq 8f
    asr r9, r9, r10
    add r9, r9, r2
    ssat \sum, #8, r9
    .endm

    nsi_function no_std_infer_dense
    push {r0-r2, r4-r11, lr}
    nsi_pushed 11, 12
    ldm r1, {r3-r6, r9}
1:  adr r1, 4f
    cmp r2, #256
    bhi 6f
    // The first round has what is beyond a multiple of 8 blocks.
2:  ubfx r7, r2, #2, #3
    add r2, r0, r2
    tbb [pc, r7]
    .byte 4, 228, 196, 164, 132, 100, 68, 36
3:  .rept 8
    nsi_block
    .endr
    cmp r0, r2
    bne 3b
    mov pc, r1

    .p2align 2
4:  sub r4, r4, r3
    sub r6, r6, r5
    asr r4, r4, #8
    asr r6, r6, #8
5:  ldr r0, [sp, #4]
    stm r0, {r3-r6, r9}
    ldrd r1, r2, [r0, #20]
    mov r11, #-1
    movw r12, #1021
    nsi_scale r3
    nsi_scale r4
    nsi_scale r5
    nsi_scale r6
    bfi r3, r4, #8, #8
    bfi r3, r5, #16, #8
    bfi r3, r6, #24, #8
    ldrd r7, r8, [r0, #28]
    subs r7, r7, #4
    blo 9f
    str r3, [r8], #4
    strd r7, r8, [r0, #28]
    beq 8f
    mov r3, #0
    mov r4, #0
    mov r5, #0
    mov r6, #0
    str r1, [r0, #20]
    ldr r9, [r0, #16]
    stm r0, {r3-r6}
    ldr r0, [sp]
    ldr r2, [sp, #8]
    b 1b

    // A vector of several segments: all but the first have 256 bytes.
6:  sub r2, r2, #1
    uxtb r2, r2
    add r2, r2, #1
    adr r1, 7f
    b 2b
    // After a segment: what it added to the sums of outputs 1 and 3 goes to memory.
    .p2align 2
7:  ldr r7, [sp, #4]
    ldr r8, [r7, #4]
    ldr r10, [r7, #12]
    sub r4, r4, r3
    sub r6, r6, r5
    add r8, r8, r4, asr #8
    add r10, r10, r6, asr #8
    str r8, [r7, #4]
    str r10, [r7, #12]
    mov r4, r3
    mov r6, r5
    add r2, r0, #256
    ldr r7, [sp]
    ldr r11, [sp, #8]
    add r7, r7, r11
    cmp r0, r7
    bne 3b
    mov r4, r8
    mov r6, r10
    b 5b

    // Fewer than four results.
9:  strb r3, [r8], #1
    lsr r3, r3, #8
    sub r7, r7, #1
    cmp r7, #-4
    bne 9b
    mov r7, #0
    strd r7, r8, [r0, #28]
8:  pop {r0-r2, r4-r11, pc}
    nsi_end no_std_infer_dense
    .purgem nsi_block
    .purgem nsi_scale
