# What the processor runs, in M-mode: a list of operations, most of them accesses with the rights
# and the translation of a lower mode.
#
# From the first byte of this code on:
#   0x10000   control: words that the host and this code agree on, see the offsets below
#   0x100000  the list: four words an operation
#
# An operation is an address, a number (see the table) with bits of `mstatus` to be set above it, a
# word that some take, and a value to store. In the place of the last three stand, afterwards: what
# was loaded, `mcause` or all ones if there was no exception, and `mtval2`.
#
# To be assembled without compressed instructions (the console's calls are told by the three
# instructions around them). It runs wherever it is put.

.option norelax
.equ COUNT, 0x00                # how many operations
.equ REPLY, 0x08                # the byte that says "done"
.equ REGISTERS, 0x10            # what `setup` loads, and then reads

.macro console
    .balign 16                  # all three on one page
    slli x0, x0, 0x1f
    ebreak
    srai x0, x0, 7
.endm

start:
    auipc s0, 0
    lui t0, 0x10
    add s0, s0, t0              # control
    lui t0, 0xf0
    add s1, s0, t0              # the list
    lla t0, trap
    csrw mtvec, t0
    # All of memory is everybody's.
    li t0, -1
    csrw pmpaddr0, t0
    li t0, 0x1f
    csrw pmpcfg0, t0
    csrr s11, mstatus
    j done

read:
    li a0, 7                    # SYS_READC: waits for a byte
    li a1, 0
    console
    ld s2, COUNT(s0)
    mv s3, s1
next:
    beqz s2, done
    ld s4, 0(s3)                # the address
    ld t1, 8(s3)                # the number, and bits of mstatus
    ld t2, 16(s3)
    ld a0, 24(s3)               # the value
    li s5, -1
    li s6, 0
    andi t3, t1, 0x7f
    xor t1, t1, t3
    or t1, t1, s11
    lla t4, table
    slli t3, t3, 3
    add t4, t4, t3
    jr t4
ended:
    csrw mstatus, s11
    sd a0, 8(s3)
    sd s5, 16(s3)
    sd s6, 24(s3)
advance:
    addi s3, s3, 32
    addi s2, s2, -1
    j next
done:
    fence
    li a0, 3                    # SYS_WRITEC
    addi a1, s0, REPLY
    console
    j read

# Eight bytes an operation, by its number. Bits of `mstatus` begin at bit 7.
.balign 8
table:
    j setup                     # 0
    nop
    j load                      # 1
    nop
    j store                     # 2
    nop
    j fetch                     # 3
    nop
    sfence.vma                  # 4
    j advance
    sfence.vma x0, t2           # 5: an ASID
    j advance
    sfence.vma s4, t2           # 6: an address of an ASID
    j advance
    hfence.gvma                 # 7
    j advance
    hfence.gvma x0, t2          # 8: a VMID
    j advance
    hfence.gvma s4, t2          # 9: an address, shifted right by two, of a VMID
    j advance

setup:
    ld t0, REGISTERS(s0)
    csrw satp, t0
    ld t0, REGISTERS+8(s0)
    csrw hgatp, t0
    ld t0, REGISTERS+16(s0)
    csrw menvcfg, t0
    csrw vsatp, x0
    csrr t0, satp
    sd t0, REGISTERS(s0)
    csrr t0, hgatp
    sd t0, REGISTERS+8(s0)
    csrr t0, menvcfg
    sd t0, REGISTERS+16(s0)
    j advance

load:
    csrw mstatus, t1
    ld a0, 0(s4)
    j ended
store:
    csrw mstatus, t1
    sd a0, 0(s4)
    j ended
fetch:
    csrw mepc, s4
    csrw mstatus, t1
    mret

.balign 4
trap:
    csrr s5, mcause
    csrr s6, mtval2
    j ended
