# What the processor runs, at CPL 0 of 64-bit mode: a list of operations, most of them accesses with
# the rights of CPL 0 or CPL 3.
#
# The RAM begins at zero, and this code lies at HOME. From its first byte on:
#   0x10000   control: words that the host and this code agree on, see the offsets below
#   0x100000  the list: four words an operation
#
# An operation is an address, a number (see the table) with bit 7 for CPL 3, a word of no use, and a
# value to store. In the place of the last three stand, afterwards: what was loaded, the exception
# that the access ended with and its error code above, and CR2. An access that is made ends with the
# breakpoint after it, or at the end of a jump.
#
# While tables are walked, this code is mapped by one entry of the root, the slot: the first 8 MiB
# of the RAM as they are, and behind them once more for users. Our own roots have that in all slots.
#
# The first 64 bytes are those of the ROM that end at 4 GiB, where the processor starts.

.intel_syntax noprefix

.set HOME, 0x200000
.set CONTROL, 0x10000
.set LIST, 0x100000
.set FOR_USERS, 0x800000

# Control.
.set COUNT, 0x00                # how many operations
.set REPLY, 0x08                # the byte that says "done", and after it the one for "lost"
.set SETTING_CR0, 0x10
.set SETTING_CR4, 0x18
.set SETTING_EFER, 0x20
.set SETTING_OWN, 0x28          # our own root, of as many levels
.set SETTING_SLOT, 0x30         # the first address of the slot
.set SETTING_ROOT, 0x38         # what is walked
.set LOST, 0x100                # exception and error code, RIP, CR2

# Selectors.
.set CODE32, 0x08
.set CODE64, 0x10
.set DATA, 0x18
.set USER_DATA, 0x20 | 3
.set USER_CODE, 0x28 | 3
.set TASK, 0x30

.set EFER, 0xc0000080

# The local APIC: it is on, and its first line is for a controller outside.
.set APIC_SPURIOUS, 0xfee000f0
.set APIC_LINE, 0xfee00350

# The serial port, and its bits.
.set PORT, 0x3f8
.set ENABLE, PORT + 1
.set CONTROLS, PORT + 4
.set STATE, PORT + 5
.set HEARD, 1 << 0
.set CAN_SAY, 1 << 5

.code16
rom:
    lgdt cs:[0xffc0 + rom_gdt - rom]
    mov eax, cr0
    or al, 1
    mov cr0, eax
    .byte 0x66, 0xea            # a far jump of 32 bits
    .long HOME + start - rom
    .word CODE32
rom_gdt:
    .word TASK - 1
    .long HOME + gdt - rom
.org 0x30
    jmp rom
.org 0x40

.code32
start:
    mov eax, DATA
    mov ds, eax
    # The processor takes interrupts from the first controller: it has vectors from 0x20 on, which
    # end by themselves, and lets the serial port's through.
    mov dword ptr [APIC_SPURIOUS], 0x127
    mov dword ptr [APIC_LINE], 0x700
    mov al, 0x11
    out 0x20, al
    mov al, 0x20
    out 0x21, al
    mov al, 4
    out 0x21, al
    mov al, 3
    out 0x21, al
    mov al, 0xef
    out 0x21, al
    mov dx, CONTROLS
    mov al, 0x0b
    out dx, al
    mov dx, ENABLE
    mov al, 1                   # when a byte is heard
    out dx, al

# Without paging: long mode is entered as the settings say.
enter:
    mov eax, DATA
    lgdt cs:[HOME + gdt_home - rom]
    mov ds, eax
    mov es, eax
    mov ss, eax
    mov eax, [HOME + CONTROL + SETTING_CR4]
    mov cr4, eax
    mov eax, [HOME + CONTROL + SETTING_OWN]
    mov cr3, eax
    mov ecx, EFER
    mov eax, [HOME + CONTROL + SETTING_EFER]
    xor edx, edx
    wrmsr
    mov eax, [HOME + CONTROL + SETTING_CR0]
    mov cr0, eax
    .byte 0xea
    .long HOME + enter64 - rom
    .word CODE64

.code64
enter64:
    lea rax, [rip + arrive]
    add rax, [HOME + CONTROL + SETTING_SLOT]
    jmp rax

# In the slot, still with our own root: what has addresses in it is written.
arrive:
    lea r15, [rip + rom + CONTROL]
    lea rsp, [rip + stack]
    lea rdi, [rip + idt]
    lea rax, [rip + vectors]
    mov ecx, 40
gate:
    mov rdx, rax
    mov [rdi], dx
    # On the first stack of the task segment; also for breakpoints of users.
    mov dword ptr [rdi + 2], CODE64 | 1 << 16 | 0xee << 24
    shr rdx, 16
    mov [rdi + 6], dx
    shr rdx, 16
    mov [rdi + 8], rdx
    add rax, 16
    add rdi, 16
    loop gate
    lea rax, [rip + tss]
    mov [rax + 0x24], rsp
    lea rdi, [rip + gdt]
    mov word ptr [rdi + TASK], 0x67
    mov [rdi + TASK + 2], ax
    shr rax, 16
    mov [rdi + TASK + 4], al
    mov word ptr [rdi + TASK + 5], 0x89
    mov [rdi + TASK + 7], ah
    shr rax, 16
    mov [rdi + TASK + 8], rax
    lea rdx, [rip + table_pointer]
    mov word ptr [rdx], TASK + 15
    mov [rdx + 2], rdi
    lgdt [rdx]
    mov word ptr [rdx], 40 * 16 - 1
    lea rax, [rip + idt]
    mov [rdx + 2], rax
    lidt [rdx]
    mov eax, TASK
    ltr ax
    mov rax, [r15 + SETTING_OWN]
    mov [rip + own], rax
    xor r14d, r14d              # no access is being made
    mov rax, [r15 + SETTING_ROOT]
    mov cr3, rax

done:
    mov bl, [r15 + REPLY]
say:
    mov dx, STATE
    in al, dx
    test al, CAN_SAY
    jz say
    mov dx, PORT
    mov al, bl
    out dx, al
read:
    mov dx, STATE
    in al, dx
    test al, HEARD
    jnz heard
    sti
    hlt                         # until an interrupt
    cli
    jmp read
heard:
    mov dx, PORT
    in al, dx
    lea r12, [rip + rom + LIST]
    mov r13, [r15 + COUNT]
next:
    test r13, r13
    jz done
    mov rsi, [r12]              # the address
    mov ebx, [r12 + 8]          # the number, and whose rights
    mov rax, [r12 + 24]         # the value
    mov ecx, ebx
    and ecx, 0x7f
    lea rdx, [rip + table]
    movsxd rcx, dword ptr [rdx + rcx * 4]
    add rdx, rcx
    jmp rdx

table:
    .long setup - table         # 0
    .long load - table          # 1
    .long store - table         # 2
    .long fetch - table         # 3
    .long forget_page - table   # 4
    .long forget_all - table    # 5

setup:
    mov rax, [rip + own]
    mov cr3, rax
    mov eax, HOME + leave - rom
    jmp rax
leave:
    push CODE32
    push HOME + leave32 - rom
    .byte 0x48, 0xcb            # a far return of 64 bits
.code32
leave32:
    mov eax, cr0
    btr eax, 31
    mov cr0, eax
    jmp enter
.code64

load:
    lea rdx, [rip + do_load]
    jmp access
store:
    lea rdx, [rip + do_store]
access:
    test bl, bl
    jns make
    add rdx, FOR_USERS
    jmp make
fetch:
    mov rdx, rsi
make:
    xor ecx, ecx                # CPL 0 needs no stack segment
    mov edi, CODE64
    test bl, bl
    jns whose
    mov ecx, USER_DATA
    mov edi, USER_CODE
whose:
    push rcx
    push rsp
    push 2                      # no interrupts
    push rdi
    push rdx
    mov r14d, 1
    iretq

do_load:
    mov rax, [rsi]
    int3
do_store:
    mov [rsi], rax
    int3

forget_page:
    invlpg [rsi]
    jmp advance
forget_all:
    mov rax, cr3
    mov cr3, rax
    jmp advance

# An exception, on its stack: the number, the error code or zero, and what an interrupt has there.
taken:
    test r14d, r14d
    jz lost
    xor r14d, r14d
    mov [r12 + 8], rax
    mov rax, [rsp + 8]
    shl rax, 32
    or rax, [rsp]
    mov [r12 + 16], rax
    mov rax, cr2
    mov [r12 + 24], rax
    lea rsp, [rip + stack]
advance:
    add r12, 32
    dec r13
    jmp next

# Nobody knows what runs.
lost:
    mov rax, [rsp + 8]
    shl rax, 32
    or rax, [rsp]
    mov [r15 + LOST], rax
    mov rax, [rsp + 16]
    mov [r15 + LOST + 8], rax
    mov rax, cr2
    mov [r15 + LOST + 16], rax
    mov bl, [r15 + REPLY + 1]
    jmp say

# Sixteen bytes a vector: 32 exceptions, then interrupts.
.set HAVE_CODE, 1 << 8 | 1 << 10 | 1 << 11 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 17 | 1 << 21
.balign 16
vectors:
.set number, 0
.rept 32
    .balign 16
    .if !(HAVE_CODE >> number & 1)
    push 0
    .endif
    .byte 0x6a, number          # push
    jmp taken
    .set number, number + 1
.endr
.rept 8
    .balign 16
    iretq
.endr

.balign 16
gdt:
    .quad 0
    .quad 0x00cf9b000000ffff
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
    .quad 0x00cff3000000ffff
    .quad 0x00affb000000ffff
    .quad 0, 0                  # the task segment
gdt_home:
    .word TASK - 1
    .quad HOME + gdt - rom
table_pointer:
    .word 0
    .quad 0
own:
    .quad 0
.balign 16
tss:
    .fill 0x66, 1, 0
    .word 0x68                  # no I/O map: it begins beyond the limit
.balign 16
idt:
    .fill 40 * 16, 1, 0
    .fill 512, 1, 0
stack:
