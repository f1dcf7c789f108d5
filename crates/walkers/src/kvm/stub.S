# What the guest runs: loops that make one access for each address of a list, and the handlers of
# the faults that these take.
#
# It is one page that is mapped twice, for each privilege once, so it is position-independent. The
# binary begins with the offsets of what the host must know (see `stub.rs`), in the order here.
#
#     as --64 stub.S -o stub.o && objcopy -O binary -j .text stub.o stub.bin
#
# The host enters a loop with
#
#     rsi  the next address of the list
#     rcx  how many there are
#     rbx  the `loop` instruction of the loop that is entered: where to go on after a fault
#     rdx  the distance from an address in the list to its place in the list of faults, less 8;
#          from there it is as far again to its place in the list of where faults were taken
#
# and finds out at each exit which address it is about: the one before `rsi`. Few instructions
# matter, since some hosts emulate them one at a time.

        .intel_syntax noprefix
        .code64
        .text

        .set    DONE, 0x10              # the port that says so

        .set    PAGE_FAULT, 1 << 32     # with the error code
        .set    PROTECTION, 2 << 32     # with the error code
        .set    UNDEFINED, 3 << 32

stub:   .quad   read - stub, read_next - stub
        .quad   write - stub, write_next - stub
        .quad   fetch - stub, fetch_next - stub
        .quad   forget_page - stub, forget_all - stub
        .quad   page_fault - stub, protection - stub, undefined - stub

read:   lodsq
        mov     al, [rax]
read_next:
        loop    read
        out     DONE, al

        # Written as it is read, which does no harm where it is memory by mistake.
write:  lodsq
        or      byte ptr [rax], 0
write_next:
        loop    write
        out     DONE, al

        # Where the target is no memory, nothing can be fetched: an undefined instruction.
fetch:  lodsq
        jmp     rax
fetch_next:
        loop    fetch
        out     DONE, al

forget_page:
        lodsq
        invlpg  [rax]
        loop    forget_page
        out     DONE, al

forget_all:
        lodsq
        mov     rax, cr3
        mov     cr3, rax
        loop    forget_all
        out     DONE, al

page_fault:
        pop     rax
        bts     rax, 32
        mov     [rsi + rdx], rax
        mov     rax, cr2
        jmp     taken

        # Users may not use ports, so their lists end here, with none left.
protection:
        pop     rax
        jrcxz   done
        bts     rax, 33
        jmp     unaddressed

undefined:
        mov     eax, 3
        shl     rax, 32

unaddressed:
        mov     [rsi + rdx], rax
        mov     rax, [rsp]              # where it was: no address is reported

taken:  mov     [rsi + rdx * 2 + 8], rax
        mov     [rsp], rbx
        iretq

done:   out     DONE, al
