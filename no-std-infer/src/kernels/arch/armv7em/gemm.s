    // A matrix product, two output channels by four pixels at a time.
    // r0: arguments: 0 panel, 4 its end, 8 words, 12 parameters, 16 their end, 20 output, 24 bytes between pixels,
    //   28 entry: -(pairs - 1) mod 16, the taps of the first round after the first tap that are skipped; 16 when there is
    //   but one pair
    // r0-r3: sums of the first channel at pixels 0-3; r4-r7: common sums; r8 words; r9 panel.
    // With a floating-point unit (nsi_fpu = 1) its registers hold the weights of up to 16 taps, so that r8 is free for
    // the weight and a tap's pixels are loaded by one instruction.

    // \sum plus, or for \op smuad only, the products of \weight and \pixel.
    .macro nsi_product op, sum, weight, pixel
    .ifc \op, smuad
    smuad \sum, \weight, \pixel
    .else
    smlad \sum, \weight, \pixel, \sum
    .endif
    .endm
    // A tap whose weight is in r8 or r10.
    .macro nsi_products op
    .if nsi_fpu
    ldm r9!, {r10-r12, lr}
    nsi_product \op, r4, r8, r10
    nsi_product \op, r5, r8, r11
    nsi_product \op, r6, r8, r12
    nsi_product \op, r7, r8, lr
    sxtb16 r8, r8
    nsi_product \op, r0, r8, r10
    nsi_product \op, r1, r8, r11
    nsi_product \op, r2, r8, r12
    nsi_product \op, r3, r8, lr
    .else
    ldrd r12, lr, [r9], #8
    sxtb16 r11, r10
    nsi_product \op, r4, r10, r12
    nsi_product \op, r0, r11, r12
    nsi_product \op, r5, r10, lr
    nsi_product \op, r1, r11, lr
    ldrd r12, lr, [r9], #8
    nsi_product \op, r6, r10, r12
    nsi_product \op, r2, r11, r12
    nsi_product \op, r7, r10, lr
    nsi_product \op, r3, r11, lr
    .endif
    .endm
    // Before taps \from to 15.
    .macro nsi_round from
    .if nsi_fpu
    vldmia r8!, {s\from-s15}
    str.w r8, [sp, #8]
    .endif
    .endm

    nsi_function no_std_infer_gemm
    nsi_enter 11, 36
    ldm r0, {r1-r8}
    adr r10, 10f
    .if nsi_fpu
    add r8, r8, r8, lsl #1
    .endif
    add r10, r10, r8, lsl #2
    orr r8, r10, #1
    stm sp, {r1-r8}
    // A pair of channels: the first tap, then the others in rounds of 16.
1:  .if nsi_fpu
    ldr r9, [sp]
    ldr r0, [sp, #8]
    ldr r8, [r0], #4
    str r0, [sp, #8]
    .else
    ldr r9, [sp]
    ldr r8, [sp, #8]
    ldr r10, [r8], #4
    .endif
    nsi_products smuad
    .if nsi_fpu
    ldr r8, [sp, #8]
    .endif
    ldr pc, [sp, #28]
    .p2align 2
10: .irp tap, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    nsi_round \tap
    b.w 10\tap\()f
    .endr
    b.w 30f
20: nsi_round 0
    .irp tap, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
10\tap\():
    .if nsi_fpu
    vmov r8, s\tap
    .else
    ldr r10, [r8], #4
    .endif
    nsi_products smlad
    .endr
    ldr r10, [sp, #4]
    .if nsi_fpu
    ldr r8, [sp, #8]
    .endif
    cmp r9, r10
    bne 20b
30: .if !nsi_fpu
    str r8, [sp, #8]
    .endif

    // The results of the first channel stay in r0-r3, those of the second go beside them.
    ldr lr, [sp, #12]
    sub r4, r4, r0
    sub r5, r5, r1
    sub r6, r6, r2
    sub r7, r7, r3
    ldm lr!, {r9-r12}
    .irp sum, r0, r1, r2, r3
    add \sum, r9, \sum, lsl #1
    nsi_requantise \sum, r8, to=\sum
    .endr
    ldm lr!, {r9-r12}
    str lr, [sp, #12]
    .irp sum, r4, r5, r6, r7
    add \sum, r9, \sum, asr #7
    nsi_requantise \sum, r8, to=\sum
    .endr
    bfi r0, r4, #8, #8
    bfi r1, r5, #8, #8
    bfi r2, r6, #8, #8
    bfi r3, r7, #8, #8
    ldrd r4, r5, [sp, #20]
    add r6, r5, r5, lsl #1
    strh r0, [r4]
    strh r1, [r4, r5]
    strh r2, [r4, r5, lsl #1]
    strh r3, [r4, r6]
    add r4, r4, #2
    str r4, [sp, #20]
    ldr r5, [sp, #16]
    cmp lr, r5
    bne 1b
    nsi_leave 11, 36
    nsi_end no_std_infer_gemm

    // The same for one pixel, whose results lie side by side; what it would need for four is not used.
    // r0, r1: sum of the first channel, common sum; r2-r5 pixels; r6, r7, r10, r11 weights; r8 words; r9 panel;
    // r12 taps left; lr parameters. Frame: 0 pairs, 4 panel, 8 end of the parameters, 12 output.
    .macro nsi_one weight, pixel
    smlad r1, \weight, \pixel, r1
    sxtb16 \weight, \weight
    smlad r0, \weight, \pixel, r0
    .endm
    nsi_function no_std_infer_gemm_one
    nsi_enter 11, 20
    ldm r0, {r4-r9}
    sub r3, r5, r4
    lsr r3, r3, #4
    strd r3, r4, [sp]
    strd r8, r9, [sp, #8]
    mov lr, r7
    mov r8, r6
1:  ldrd r12, r9, [sp]
    mov r0, #0
    mov r1, #0
    subs r12, r12, #4
    blt 3f
2:  ldr r2, [r9]
    ldr r3, [r9, #16]
    ldr r4, [r9, #32]
    ldr r5, [r9, #48]
    ldm r8!, {r6, r7, r10, r11}
    nsi_one r6, r2
    nsi_one r7, r3
    nsi_one r10, r4
    nsi_one r11, r5
    add r9, r9, #64
    subs r12, r12, #4
    bge 2b
3:  adds r12, r12, #4
    beq 5f
4:  ldr r2, [r9], #16
    ldr r6, [r8], #4
    nsi_one r6, r2
    subs r12, r12, #1
    bne 4b
5:  sub r1, r1, r0
    ldm lr!, {r9-r12}
    add r0, r9, r0, lsl #1
    nsi_requantise r0, r2
    ldm lr!, {r9-r12}
    add r1, r9, r1, asr #7
    nsi_requantise r1, r3
    ldrd r4, r5, [sp, #8]
    strb r2, [r5], #1
    strb r3, [r5], #1
    str r5, [sp, #12]
    cmp lr, r4
    bne 1b
    nsi_leave 11, 20
    nsi_end no_std_infer_gemm_one
    .purgem nsi_one
    .purgem nsi_product
    .purgem nsi_products
    .purgem nsi_round
