    // Four channels over a window. r0 first element, r1 bytes from column to column, r2 columns (1 or more), r3 rows
    // (1 or more), [sp] bytes from row to row.

    // Saves r4 to r\last; \rest becomes what lies between a row of the window and the next.
    .macro nsi_window last, rest
    nsi_enter \last
    ldr \rest, [sp, #(4 * (\last - 2))]
    mls \rest, r1, r2, \rest
    .endm
    // At 1 a row begins, at 2 follow r12 times four columns of it, at 3 what is left of them.
    .macro nsi_window_row
1:  lsrs r12, r2, #2
    beq 3f
    .endm
    // At 5 the next row.
    .macro nsi_window_next rest
5:  add r0, r0, \rest
    subs r3, r3, #1
    bne 1b
    .endm

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
    nsi_function \name
    nsi_window 8, r4
    add lr, r1, r1, lsl #1
    mov r5, #\start
    mov r6, #0
    nsi_window_row
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
    nsi_window_next r4
    mov r0, r5
    mov r1, r6
    nsi_leave 8
    nsi_end \name
    .endm

    nsi_pool no_std_infer_sum, nsi_pool_sum, 0
    nsi_pool no_std_infer_max, nsi_pool_max, 0x80808080

    // Sums of eight channels, the first of them at a multiple of 4 as are all columns: r0-r3 as above, [sp] bytes from
    // row to row, [sp, #4] the sums: of channels 0 and 2, 1 and 3, 4 and 6, 5 and 7.
    .macro nsi_pool_eight
    ldrd r8, r9, [r0]
    add r0, r0, r1
    sxtab16 r4, r4, r8
    sxtab16 r5, r5, r8, ror #8
    sxtab16 r6, r6, r9
    sxtab16 r7, r7, r9, ror #8
    .endm
    nsi_function no_std_infer_sum_eight
    nsi_window 10, r10
    mov r4, #0
    mov r5, #0
    mov r6, #0
    mov r7, #0
    nsi_window_row
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
    nsi_window_next r10
    ldr r0, [sp, #36]
    stm r0, {r4-r7}
    nsi_leave 10
    nsi_end no_std_infer_sum_eight

    .purgem nsi_pool_eight
    .purgem nsi_pool_sum
    .purgem nsi_pool_max
    .purgem nsi_pool
    .purgem nsi_window
    .purgem nsi_window_row
    .purgem nsi_window_next
