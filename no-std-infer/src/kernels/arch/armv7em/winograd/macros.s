    // What the products of all transforms share.
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
    // Says where the caller's frame lies while rows of sums, as many as have been made, lie below our frame of \frame bytes:
    // \row bytes each, of the last one \pushed so far. The last word of our frame is the panel's end, and so is the first
    // word that a row pushes: the row where our frame begins right above it was the first. Before a row has pushed
    // anything, r\end holds the panel's end.
    .macro nsi_rows frame, row, pushed, end
    // DW_CFA_def_cfa_expression, of so many bytes: from the upper end of the row before the last one ...
    .ifb \end
    .cfi_escape 0x0f, 21
    .else
    .cfi_escape 0x0f, 19
    .endif
    .cfi_escape 0x7d, (\pushed - \row) & 0x7f | 0x80, (\pushed - \row) >> 7 & 0x7f
    // ... to that of the next one, while the word that would be the frame's last and the row's first differ ...
    .cfi_escape 0x23, \row & 0x7f | 0x80, \row >> 7, 0x12, 0x23, \frame - 4, 0x06
    .ifb \end
    .cfi_escape 0x14, 0x34, 0x1c, 0x06, 0x2e, 0x28, 0xf1, 0xff
    .else
    .cfi_escape 0x70 + \end, 0, 0x2e, 0x28, 0xf3, 0xff
    .endif
    // ... and over our frame and nine saved registers.
    .cfi_escape 0x23, (\frame + 36) & 0x7f | 0x80, (\frame + 36) >> 7
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

    // Begins a function for tiles of 2 x 2: fetches the arguments to r1-r9, and puts the first step's address into the frame
    // and r10, where r2 are the bytes of the steps that are skipped.
    .macro nsi_product_begin frame
    nsi_enter 11, \frame
    ldm r0, {r1-r9}
    mov r10, #44
    mul r2, r2, r10
    adr r10, 10f
    add r10, r10, r2
    orr r10, r10, #1
    str r10, [sp, #32]
    .endm
    // Ends it: both channels of the \sums bytes of sums; then back to 1 for the next channels, if there are any.
    .macro nsi_product_finish frame, sums
    .cfi_def_cfa 13, \frame + \sums + 36
    str r8, [sp, #(\sums + 8)]
    nsi_channel 0, \sums
    nsi_channel 1, \sums
    add sp, sp, #\sums
    .cfi_def_cfa_offset \frame + 36
    ldr r8, [sp, #8]
    ldr r0, [sp, #20]
    add r0, r0, #2
    str r0, [sp, #20]
    ldrd r1, r2, [sp, #12]
    cmp r1, r2
    bne.w 1b
    nsi_leave 11, \frame
    .endm

    // Begins a function for tiles of four columns: puts the arguments into the frame, where rows of columns take \row bytes and
    // all of them \rows; then r0 first row, r2 bytes between rows, r3 columns.
    .macro nsi_tiles_begin row, rows
    nsi_enter 11, 36
    ldm r0, {r0-r5}
    add r6, r2, #\row
    strd r6, r3, [sp]
    strd r2, r0, [sp, #8]
    strd r5, r4, [sp, #16]
    lsl r5, r5, #5
    strd r5, r1, [sp, #24]
    add r6, r2, #\rows
    str r6, [sp, #32]
    mov r3, r2
    mov r2, r1
    .endm
    // At 1 a group of channels begins, with row 3 in r1.
    .macro nsi_tiles_group
1:  add r1, r0, r2
    add r1, r1, r2, lsl #1
    .endm
    // After a column: back to 2 for the next one, if there is any.
    .macro nsi_tiles_next_column
    ldrd r4, r5, [sp]
    add r0, r0, r5
    add r1, r1, r5
    add r3, r3, #4
    cmp r3, r4
    bne 2b
    .endm
    // After a group: back to 1 for the next one, if there is any.
    .macro nsi_tiles_finish
    ldrd r3, r0, [sp, #8]
    ldrd r4, r5, [sp, #16]
    add r0, r0, #4
    str r0, [sp, #12]
    ldr r2, [sp, #28]
    add r5, r5, #32
    subs r4, r4, #1
    strd r4, r5, [sp, #16]
    bne.w 1b
    nsi_leave 11, 36
    .endm
