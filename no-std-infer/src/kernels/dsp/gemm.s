    // A matrix product, two output channels by four pixels at a time.
    // r0: arguments: 0 start, 4 end, 8 words, 12 parameters, 16 their end, 20 output, 24 bytes between pixels, 28 entry.
    //   start: panel - 8 - 16 * s, where s = -pairs mod 16 taps of the first round are skipped
    //   end:   panel - 8 + 16 * pairs
    //   entry: s
    // r0-r3: sums of the first channel at pixels 0-3; r4-r7: common sums; r8 words; r9 panel.
    .syntax unified
    .section .text.no_std_infer_gemm, "ax", %progbits
    .p2align 2
    .global no_std_infer_gemm
    .thumb_func
    .type no_std_infer_gemm, %function
no_std_infer_gemm:
    push {r4-r11, lr}
    sub sp, sp, #36
    ldm r0, {r1-r8}
    adr r10, 10f
    add r8, r8, r8, lsl #1
    add r10, r10, r8, lsl #4
    orr r8, r10, #1
    stm sp, {r1-r8}
    mov r8, r3
1:  ldr r9, [sp]
    mov r0, #0
    mov r1, #0
    mov r2, #0
    mov r3, #0
    mov r4, #0
    mov r5, #0
    mov r6, #0
    mov r7, #0
    ldr pc, [sp, #28]
    .p2align 2
    // Sixteen taps of 48 bytes each.
10:
    .set tap, 0
    .rept 16
    ldr r10, [r8], #4
    ldrd r12, lr, [r9, #(16 * tap + 8)]
    sxtb16 r11, r10
    smlad r4, r10, r12, r4
    smlad r0, r11, r12, r0
    smlad r5, r10, lr, r5
    smlad r1, r11, lr, r1
    .if tap == 15
    ldrd r12, lr, [r9, #256]!
    .else
    ldrd r12, lr, [r9, #(16 * tap + 16)]
    .endif
    smlad r6, r10, r12, r6
    smlad r2, r11, r12, r2
    smlad r7, r10, lr, r7
    smlad r3, r11, lr, r3
    .set tap, tap + 1
    .endr
    ldr r10, [sp, #4]
    cmp r9, r10
    bne 10b

    // The first channel.
    ldr r9, [sp, #12]
    str r8, [sp, #8]
    ldr lr, [sp, #20]
    sub r4, r4, r0
    sub r5, r5, r1
    sub r6, r6, r2
    sub r7, r7, r3
    ldm r9, {r9-r12}
    add r0, r9, r0, lsl #1
    nsi_requantise r0, r8
    strb r8, [lr], #1
    ldr r0, [sp, #24]
    add r1, r9, r1, lsl #1
    nsi_requantise r1, r8
    sub r1, r0, #1
    strb r8, [lr, r1]
    add r2, r9, r2, lsl #1
    nsi_requantise r2, r8
    add r1, r1, r0
    strb r8, [lr, r1]
    add r3, r9, r3, lsl #1
    nsi_requantise r3, r8
    add r1, r1, r0
    strb r8, [lr, r1]
    // The second channel.
    ldr r2, [sp, #12]
    add r2, r2, #16
    ldm r2!, {r9-r12}
    add r4, r9, r4, asr #7
    nsi_requantise r4, r8
    strb r8, [lr]
    add r5, r9, r5, asr #7
    nsi_requantise r5, r8
    strb r8, [lr, r0]
    add r6, r9, r6, asr #7
    nsi_requantise r6, r8
    strb r8, [lr, r0, lsl #1]
    add r0, r0, r0, lsl #1
    add r7, r9, r7, asr #7
    nsi_requantise r7, r8
    strb r8, [lr, r0]
    add lr, lr, #1
    str lr, [sp, #20]
    str r2, [sp, #12]
    ldr r8, [sp, #8]
    ldr r9, [sp, #16]
    cmp r2, r9
    bne 1b
    add sp, sp, #36
    pop {r4-r11, pc}
    .size no_std_infer_gemm, . - no_std_infer_gemm
    .purgem nsi_requantise
