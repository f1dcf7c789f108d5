// What the processor runs, at EL2 with its own MMU off: a list of operations on the EL1&0 regime.
//
// From the first byte of this code on:
//   0x10000   control: words that the host and this code agree on, see the offsets below
//   0x100000  the list: four words an operation
//
// An operation is an address, a number (see the table), a word of no use, and a value to store. In
// the place of the last three stand, afterwards: PAR_EL1, of no use, of no use (for AT); what was
// loaded, ESR_EL2 with ESR_EL1 above it, and ELR_EL2 (for accesses).
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
    ldr x3, [x10, #24]
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
    ldp x0, x24, [x4], #16      // where EL1 finds its vectors, and this code
    msr vbar_el1, x0
    add x24, x24, #(el1_accesses - start)
    dsb sy
    isb
    b advance

// Accesses are made at EL1 or EL0, and come back through EL2's vector for lower levels.
fetch:
    msr elr_el2, x0
    b leave
access:
    add x5, x24, x6
    msr elr_el2, x5
    mov x5, #EL1H
leave:
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
.macro at_el1 offset
    .balign 16
    mov x6, #\offset
    b access
.endm
    at_el1 0                    // 11: load with EL1's rights
    at_el1 8                    // 12: load with EL0's
    at_el1 16                   // 13: store with EL1's
    at_el1 24                   // 14: store with EL0's
.macro forget operation:vararg
    .balign 16
    tlbi \operation
    dsb sy
    isb
    b advance
.endm
    forget alle1                // 15
    forget vmalls12e1           // 16
    forget aside1, x0           // 17
    forget vae1, x0             // 18
    forget vale1, x0            // 19
    forget rvae1, x0            // 20
    forget rvale1, x0           // 21
    forget ipas2e1, x0          // 22
    forget ipas2le1, x0         // 23
    forget ripas2e1, x0         // 24
    forget ripas2le1, x0        // 25

// An access of a lower level has ended in an exception.
ended:
    mrs x4, esr_el2
    mrs x5, esr_el1
    bfi x4, x5, #32, #32
    mrs x5, elr_el2
    str x3, [x10, #8]
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

// What runs at EL1, eight bytes each.
el1_accesses:
    ldr x3, [x0]
    hvc #2
    ldtr x3, [x0]
    hvc #2
    str x3, [x0]
    hvc #2
    sttr x3, [x0]
    hvc #2

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
