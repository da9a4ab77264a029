    // Widens runs of bytes to pairs of halfwords, 16 bytes apart.
    // r0 source, r1 target, r2 groups of four bytes in a run (1 or more), r3 runs (1 or more), [sp] bytes from run to run.
    .syntax unified
    .section .text.no_std_infer_widen, "ax", %progbits
    .p2align 2
    .global no_std_infer_widen
    .thumb_func
    .type no_std_infer_widen, %function
no_std_infer_widen:
    push {r4-r11, lr}
    ldr r10, [sp, #36]
    sub r10, r10, r2, lsl #2
    and r11, r2, #3
    lsr r2, r2, #2
    // Words at multiples of 4 can be loaded four at a time.
    orr r4, r0, r10
    tst r4, #3
    bne 5f

1:  movs r12, r2
    beq 3f
2:  ldm r0!, {r4-r7}
    sxtb16 r8, r4
    sxtb16 r9, r4, ror #8
    str r8, [r1]
    str r9, [r1, #16]
    sxtb16 r8, r5
    sxtb16 r9, r5, ror #8
    str r8, [r1, #32]
    str r9, [r1, #48]
    sxtb16 r8, r6
    sxtb16 r9, r6, ror #8
    str r8, [r1, #64]
    str r9, [r1, #80]
    sxtb16 r8, r7
    sxtb16 r9, r7, ror #8
    str r8, [r1, #96]
    str r9, [r1, #112]
    add r1, r1, #128
    subs r12, r12, #1
    bne 2b
3:  movs r12, r11
    beq 4f
33: ldr r4, [r0], #4
    sxtb16 r8, r4
    sxtb16 r9, r4, ror #8
    str r9, [r1, #16]
    str r8, [r1], #32
    subs r12, r12, #1
    bne 33b
4:  add r0, r0, r10
    subs r3, r3, #1
    bne 1b
    pop {r4-r11, pc}

5:  add r11, r11, r2, lsl #2
6:  mov r12, r11
7:  ldr r4, [r0], #4
    sxtb16 r8, r4
    sxtb16 r9, r4, ror #8
    str r9, [r1, #16]
    str r8, [r1], #32
    subs r12, r12, #1
    bne 7b
    add r0, r0, r10
    subs r3, r3, #1
    bne 6b
    pop {r4-r11, pc}
    .size no_std_infer_widen, . - no_std_infer_widen
