    // What the products of all transforms share; the files that use it forget it at their end.
    // r0-r3: sums of the first channel in tiles 0-3; r4-r7: of the second; r8 words; r9 panel.
    .syntax unified
    // Two pairs of elements for eight sums.
    .macro nsi_step first=0
    ldrd r10, r11, [r8], #8
    ldrd r12, lr, [r9], #8
    .if \first
    smuad r0, r10, r12
    smuad r4, r11, r12
    smuad r1, r10, lr
    smuad r5, r11, lr
    ldrd r12, lr, [r9], #8
    smuad r2, r10, r12
    smuad r6, r11, r12
    smuad r3, r10, lr
    smuad r7, r11, lr
    .else
    smlad r0, r10, r12, r0
    smlad r4, r11, r12, r4
    smlad r1, r10, lr, r1
    smlad r5, r11, lr, r5
    ldrd r12, lr, [r9], #8
    smlad r2, r10, r12, r2
    smlad r6, r11, r12, r6
    smlad r3, r10, lr, r3
    smlad r7, r11, lr, r7
    .endif
    .endm
    // Up to \count steps of 44 bytes each; the address of the one to start with is \head bytes from the stack's top.
    .macro nsi_steps label, head, count
    ldr pc, [sp, #\head]
    .p2align 2
\label:
    .rept \count
    nsi_step
    .endr
    .endm
    // Two tiles' pixels in one column: \sums the place of their sums; r4 bytes between pixels, r8 and lr output rows.
    // nsi_pixels makes twice the sums with the bias, which is in r9, in r0, r1, r6 and r7; r2 and r3 are free.
    .macro nsi_two_pixels sums
    nsi_pixels \sums
    nsi_requantise r0, r2
    strb r2, [r8]
    nsi_requantise r1, r2
    strb r2, [r8, r4, lsl #1]
    nsi_requantise r6, r2
    strb r2, [lr]
    nsi_requantise r7, r2
    strb r2, [lr, r4, lsl #1]
    .endm
    // All pixels of channel \channel of tiles of 2 x 2. The arguments of the function are \frame bytes from the stack's top:
    // 12 parameters, 20 output, 24 bytes between pixels, 28 between rows.
    .macro nsi_channel channel, frame
    ldr r0, [sp, #(\frame + 12)]
    ldr r8, [sp, #(\frame + 20)]
    ldrd r4, r1, [sp, #(\frame + 24)]
    ldm r0!, {r9-r12}
    str r0, [sp, #(\frame + 12)]
    .if \channel
    add r8, r8, #1
    .endif
    add lr, r8, r1
    nsi_two_pixels (16 * \channel + 32)
    add r8, r8, r4
    add lr, lr, r4
    nsi_two_pixels (16 * \channel)
    add r5, r4, r4, lsl #1
    add r8, r8, r5
    add lr, lr, r5
    nsi_two_pixels (16 * \channel + 8 + 32)
    add r8, r8, r4
    add lr, lr, r4
    nsi_two_pixels (16 * \channel + 8)
    .endm
