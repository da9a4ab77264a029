    // How every function here begins and ends, with call frame information, so that a debugger finds the caller from any
    // instruction. nsi_versioned, which Rust defines, gives a function's name the crate's version.
    .syntax unified
    .cfi_sections .debug_frame

    // Starts a section for a function: it is linked only where it is used.
    .macro nsi_section symbol
    .section .text.\symbol, "ax", %progbits
    .p2align 2
    .endm
    // Starts the function in its section.
    .macro nsi_start symbol
    .global \symbol
    .thumb_func
    .type \symbol, %function
\symbol:
    .cfi_startproc
    .endm
    .macro nsi_function name
    nsi_versioned nsi_section, \name
    nsi_versioned nsi_start, \name
    .endm
    .macro nsi_stop symbol
    .cfi_endproc
    .size \symbol, . - \symbol
    .endm
    .macro nsi_end name
    nsi_versioned nsi_stop, \name
    .endm

    // After a push of \words words, of which r4 to r\last and lr are the uppermost.
    .macro nsi_pushed last, words
    .cfi_def_cfa_offset 4 * \words
    .irp register, 4, 5, 6, 7, 8, 9, 10, 11
    .if \register <= \last
    .cfi_offset \register, 4 * (\register - \last - 2)
    .endif
    .endr
    .cfi_offset 14, -4
    .endm
    // Saves r4 to r\last and lr, and makes room for \frame bytes.
    .macro nsi_enter last, frame=0
    push {r4-r\last, lr}
    nsi_pushed \last, (\last - 2)
    .if \frame
    sub sp, sp, #\frame
    .cfi_def_cfa_offset 4 * (\last - 2) + \frame
    .endif
    .endm
    // The way back.
    .macro nsi_leave last, frame=0
    .if \frame
    .cfi_remember_state
    add sp, sp, #\frame
    .cfi_def_cfa_offset 4 * (\last - 2)
    .endif
    pop {r4-r\last, pc}
    .if \frame
    .cfi_restore_state
    .endif
    .endm
