    // A matrix product, two output channels by four pixels at a time.
    // r0: arguments: 0 panel, 4 its end, 8 words, 12 parameters, 16 their end, 20 output, 24 bytes between pixels,
    //   28 entry: -(pairs - 1) mod 16, the taps of the first round after the first tap that are skipped; 16 when there is
    //   but one pair; 32 1 where the output's zero point is the least value: then what differs from the rounding of a negative
    //   tie is clamped; else 0
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
    // Words of the arguments that change, in \float or else the word \number of the frame.
    .macro nsi_get register, float, number
    .if nsi_fpu
    vmov \register, \float
    .else
    ldr \register, [sp, #(4 * \number)]
    .endif
    .endm
    .macro nsi_put register, float, number
    .if nsi_fpu
    vmov \float, \register
    .else
    str \register, [sp, #(4 * \number)]
    .endif
    .endm
    // Before taps \from to 15.
    .macro nsi_round from
    .if nsi_fpu
    vldmia r8!, {s\from-s15}
    vmov s18, r8
    .endif
    .endm
    // Doubles \sums, shifted by \shift, with their bias, which is in r8, and requantises them.
    .macro nsi_results floor, shift, sums:vararg
    .irp sum, \sums
    add \sum, r8, \sum, \shift
    .endr
    .irp sum, \sums
    .if \floor
    smmlar \sum, \sum, r10, r11
    .else
    smmlar r8, \sum, r10, r11
    add \sum, r8, \sum, asr #31
    .endif
    .endr
    .irp sum, \sums
    asr \sum, \sum, r12
    .endr
    .irp sum, \sums
    ssat \sum, #8, \sum
    .endr
    .endm
    // The results of both channels: those of the first stay in r0-r3, those of the second are in r4-r7.
    .macro nsi_pair_results floor
    ldm lr!, {r8, r10-r12}
    nsi_results \floor, "lsl #1", r0, r1, r2, r3
    ldm lr!, {r8, r10-r12}
    nsi_put lr, s19, 3
    nsi_results \floor, "asr #7", r4, r5, r6, r7
    .endm

    nsi_function no_std_infer_gemm
    .if nsi_fpu
    nsi_enter 11
    vpush {s16-s25}
    .cfi_def_cfa_offset 36 + 40
    ldr r8, [r0, #28]
    vldmia r0, {s16-s24}
    add r8, r8, r8, lsl #1
    .else
    nsi_enter 11, 36
    ldr r9, [r0, #32]
    ldm r0, {r1-r8}
    stm sp, {r1-r8}
    str r9, [sp, #32]
    .endif
    adr r10, 10f
    add r10, r10, r8, lsl #2
    orr r8, r10, #1
    nsi_put r8, s23, 7
    // A pair of channels: the first tap, then the others in rounds of 16.
1:  nsi_get r9, s16, 0
    .if nsi_fpu
    vmov r0, s18
    ldr r8, [r0], #4
    vmov s18, r0
    .else
    ldr r8, [sp, #8]
    ldr r10, [r8], #4
    .endif
    nsi_products smuad
    .if nsi_fpu
    vmov r10, s23
    vmov r8, s18
    bx r10
    .else
    ldr pc, [sp, #28]
    .endif
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
    nsi_get r10, s17, 1
    .if nsi_fpu
    vmov r8, s18
    .endif
    cmp r9, r10
    bne 20b
30: .if !nsi_fpu
    str r8, [sp, #8]
    .endif

    nsi_get lr, s19, 3
    nsi_get r8, s24, 8
    sub r4, r4, r0
    sub r5, r5, r1
    sub r6, r6, r2
    sub r7, r7, r3
    cmp r8, #0
    beq 40f
    nsi_pair_results 1
31: bfi r0, r4, #8, #8
    bfi r1, r5, #8, #8
    bfi r2, r6, #8, #8
    bfi r3, r7, #8, #8
    nsi_get r4, s21, 5
    nsi_get r5, s22, 6
    add r6, r5, r5, lsl #1
    strh r0, [r4]
    strh r1, [r4, r5]
    strh r2, [r4, r5, lsl #1]
    strh r3, [r4, r6]
    add r4, r4, #2
    nsi_put r4, s21, 5
    nsi_get r5, s20, 4
    cmp lr, r5
    bne 1b
    .if nsi_fpu
    .cfi_remember_state
    vpop {s16-s25}
    .cfi_def_cfa_offset 36
    nsi_leave 11
    .cfi_restore_state
    .else
    nsi_leave 11, 36
    .endif
40: nsi_pair_results 0
    b 31b
    nsi_end no_std_infer_gemm

    // The same for groups of four pixels whose panels follow each other, and up to 16 pairs: the weights of two output channels
    // stay in registers. Argument 4 is the end of the last
    // panel.
    // s0 first weight; s1-s15 the others, the last in s15; s16-s23 parameters; s24 first panel, s25 end of the last one, s26 bytes
    // between pixels, s27 the tap after the first, s28 output of the group, s29 words, s30 parameters, s31 output of all groups.
    // Frame: 0 the arguments, 4 the weight after the first; above 64 bytes of saved registers.
    .if nsi_fpu
    .macro nsi_both_results floor
    vmov r8, s16
    vmov r10, s17
    vmov r11, s18
    vmov r12, s19
    nsi_results \floor, "lsl #1", r0, r1, r2, r3
    vmov r8, s20
    vmov r10, s21
    vmov r11, s22
    vmov r12, s23
    nsi_results \floor, "asr #7", r4, r5, r6, r7
    .endm
    nsi_function no_std_infer_gemm_groups
    nsi_enter 11, 8
    vpush {s16-s31}
    .cfi_def_cfa_offset 36 + 8 + 64
    str r0, [sp, #64]
    ldm r0, {r1-r8}
    vmov s24, r1
    vmov s25, r2
    vmov s29, r3
    vmov s30, r4
    vmov s31, r6
    vmov s26, r7
    sub r8, r8, #1
    mov r7, #44
    adr r10, 12f
    mla r10, r8, r7, r10
    orr r10, r10, #1
    vmov s27, r10
    adr r11, 11f
    add r11, r11, r8, lsl #2
    orr r11, r11, #1
    str r11, [sp, #68]
    // Two output channels.
1:  vmov r8, s29
    ldr r10, [sp, #68]
    vldmia r8!, {s0}
    bx r10
    .p2align 2
11: .irp tap, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    vldmia r8!, {s\tap}
    .endr
    vmov s29, r8
    vmov r8, s30
    vldmia r8!, {s16-s23}
    vmov s30, r8
    vmov r8, s31
    vmov s28, r8
    add r8, r8, #2
    vmov s31, r8
    vmov r9, s24
    // A group.
2:  vmov r8, s0
    nsi_products smuad
    vmov r10, s27
    bx r10
    .p2align 2
12: .irp tap, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    vmov r8, s\tap
    nsi_products smlad
    .endr
    ldr r12, [sp, #64]
    ldr r12, [r12, #32]
    sub r4, r4, r0
    sub r5, r5, r1
    sub r6, r6, r2
    sub r7, r7, r3
    cmp r12, #0
    beq 4f
    nsi_both_results 1
3:  bfi r0, r4, #8, #8
    bfi r1, r5, #8, #8
    bfi r2, r6, #8, #8
    bfi r3, r7, #8, #8
    vmov r8, s28
    vmov r10, s25
    vmov r11, s26
    strh r0, [r8]
    strh r1, [r8, r11]
    add r8, r8, r11, lsl #1
    strh r2, [r8]
    strh r3, [r8, r11]
    add r8, r8, r11, lsl #1
    vmov s28, r8
    cmp r9, r10
    bne.w 2b
    ldr r8, [sp, #64]
    vmov r9, s30
    ldr r8, [r8, #16]
    cmp r9, r8
    bne.w 1b
    .cfi_remember_state
    vpop {s16-s31}
    .cfi_def_cfa_offset 36 + 8
    nsi_leave 11, 8
    .cfi_restore_state
4:  nsi_both_results 0
    b 3b
    nsi_end no_std_infer_gemm_groups
    .purgem nsi_both_results
    .endif

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
    .irp name, one, product, products, round, get, put, results, pair_results
    .purgem nsi_\name
    .endr
