// What the processor runs, at EL2 with its own MMU off: a list of operations on the EL1&0 regime.
//
// From the first byte of this code on:
//   0x10000   control: words that the host and this code agree on, see the offsets below
//   0x100000  the list: four words an operation
//
// An operation is an address, a number (see the table), and two words of no use. In the place of the
// number stands PAR_EL1 afterwards (for AT); in the place of the last two, ESR_EL2 with ESR_EL1 above
// it, and ELR_EL2 (for fetches).
//
// It runs wherever it is put.

.arch armv8.5-a
.equ COUNT, 0x00                // how many operations
.equ REPLY, 0x08                // the byte that says "done", and after it the one for "lost"
.equ REGISTERS, 0x10            // what `setup` loads
.equ LOST, 0x100                // ESR_EL2, ELR_EL2, FAR_EL2 of an exception that none expected

.equ EL1H, 0x3c5                // PSTATE: EL1 with its own stack pointer, nothing unmasked
.equ EL0T, 0x3c0

start:
    adr x20, start
    add x20, x20, #0x10, lsl #12
    add x22, x20, #0xf0, lsl #12
    adr x0, el2_vectors
    msr vbar_el2, x0
    isb
    b done

// The list.
read:
    mov w0, #7                  // SYS_READC: waits for a byte
    mov x1, #0
    hlt #0xf000
    ldr x21, [x20, #COUNT]
    mov x10, x22
    adr x23, table
next:
    cbz x21, done
    ldp x0, x1, [x10]
    add x2, x23, x1, lsl #4
    br x2
keep_par:
    mrs x4, par_el1
    str x4, [x10, #8]
advance:
    add x10, x10, #32
    sub x21, x21, #1
    b next
done:
    dsb sy
    mov w0, #3                  // SYS_WRITEC
    add x1, x20, #REPLY
    hlt #0xf000
    b read

setup:
    add x4, x20, #REGISTERS
    ldp x0, x1, [x4], #16
    msr hcr_el2, x0
    msr vtcr_el2, x1
    ldp x0, x1, [x4], #16
    msr vttbr_el2, x0
    msr tcr_el1, x1
    ldp x0, x1, [x4], #16
    msr ttbr0_el1, x0
    msr ttbr1_el1, x1
    ldp x0, x1, [x4], #16
    msr mair_el1, x0
    msr sctlr_el1, x1
    ldr x0, [x4]
    msr vbar_el1, x0
    dsb sy
    isb
    b advance

// Fetches are made at EL1 or EL0, and come back through EL2's vector for lower levels.
fetch:
    msr elr_el2, x0
    msr spsr_el2, x5
    msr esr_el1, xzr
    isb
    eret

// Sixteen bytes an operation, by its number.
.balign 16
table:
    b setup                     // 0
.macro translate operation
    .balign 16
    at \operation, x0
    isb
    b keep_par
.endm
    translate s1e1r             // 1
    translate s1e1w
    translate s1e0r
    translate s1e0w
    translate s12e1r            // 5
    translate s12e1w
    translate s12e0r
    translate s12e0w
    .balign 16
    mov x5, #EL1H               // 9: fetch at EL1
    b fetch
    .balign 16
    mov x5, #EL0T               // 10: fetch at EL0
    b fetch
.macro forget operation:vararg
    .balign 16
    tlbi \operation
    dsb sy
    isb
    b advance
.endm
    forget alle1                // 11
    forget vmalls12e1           // 12
    forget aside1, x0           // 13
    forget vae1, x0             // 14
    forget vale1, x0            // 15
    forget rvae1, x0            // 16
    forget rvale1, x0           // 17
    forget ipas2e1, x0          // 18
    forget ipas2le1, x0         // 19
    forget ripas2e1, x0         // 20
    forget ripas2le1, x0        // 21

// A fetch of a lower level has ended in an exception.
ended:
    mrs x4, esr_el2
    mrs x5, esr_el1
    bfi x4, x5, #32, #32
    mrs x5, elr_el2
    stp x4, x5, [x10, #16]
    b advance

// Any other exception: nobody knows what runs.
lost:
    mrs x4, esr_el2
    mrs x5, elr_el2
    mrs x6, far_el2
    add x7, x20, #LOST
    stp x4, x5, [x7]
    str x6, [x7, #16]
    dsb sy
    mov w0, #3
    add x1, x20, #(REPLY + 1)
    hlt #0xf000
    b read

.org 0x800
el2_vectors:
.rept 8
    b lost
    .balign 128
.endr
    b ended                     // synchronous, from a lower level in AArch64
    .balign 128
.rept 7
    b lost
    .balign 128
.endr

.org 0x1000
el1_vectors:
.rept 16
    hvc #1
    .balign 128
.endr
