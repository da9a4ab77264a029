    // Beginning and end of a function that changes every register but the stack pointer, and has \frame bytes.
    .macro nsi_enter_all frame
    push {r4-r11, lr}
    nsi_pushed 11, 9
    vpush {d8-d15}
    .cfi_def_cfa_offset 100
    sub sp, sp, #\frame
    .cfi_def_cfa_offset 100 + \frame
    .endm
    .macro nsi_leave_all frame
    add sp, sp, #\frame
    .cfi_def_cfa_offset 100
    vpop {d8-d15}
    .cfi_def_cfa_offset 36
    pop {r4-r11, pc}
    .endm
