# rustc 1.95.0 (59807616e 2026-04-14)
# golden_fill_fresh: 14 instructions / 8
# golden_fill_live: 19 instructions / 8
# golden_list_fresh: 14 instructions / 4
# golden_list_live: 16 instructions / 4
# golden_clear: 11 instructions / 8
# golden_is_zero: 7 instructions / 4
# golden_translate: 48 instructions / 1
# golden_cursor_map: 106 instructions / 1
# golden_cursor_unmap: 88 instructions / 1
# golden_map_call: 59 instructions / 1
# golden_unmap_call: 50 instructions / 1
# 8map_near: 64 instructions / 1
# 10unmap_near: 53 instructions / 1

golden_fill_fresh:
	orq (%rsi), %rdx
	movq %rdx, %xmm0
	pshufd $68, %xmm0, %xmm0
	paddq .LCPI109_0(%rip), %xmm0
	xorl %eax, %eax
	movdqa .LCPI109_1(%rip), %xmm1
	movdqa .LCPI109_2(%rip), %xmm2
	movdqa .LCPI109_3(%rip), %xmm3
	movdqa .LCPI109_4(%rip), %xmm4
.LBB109_1:
	movdqa %xmm0, %xmm5
	paddq %xmm1, %xmm5
	movdqu %xmm0, (%rdi,%rax,8)
	movdqu %xmm5, 16(%rdi,%rax,8)
	movdqa %xmm0, %xmm5
	paddq %xmm2, %xmm5
	movdqa %xmm0, %xmm6
	paddq %xmm3, %xmm6
	movdqu %xmm5, 32(%rdi,%rax,8)
	movdqu %xmm6, 48(%rdi,%rax,8)
	addq $8, %rax
	paddq %xmm4, %xmm0
	cmpq $512, %rax
	jne .LBB109_1
	retq

golden_fill_live:
	subq $24, %rsp
	movq %rdx, %r9
	movq %rdi, %rax
	movups (%rsi), %xmm0
	movaps %xmm0, (%rsp)
	movq $0, 16(%rsp)
	movq %rsp, %rdi
	movl $512, %edx
	movq %rax, %rsi
	xorl %ecx, %ecx
	movl $3, %r8d
	callq _ZN9iopgtable5table4fill15Leaves$LT$F$GT$4ramp
	addq $24, %rsp
	retq

golden_list_fresh:
	cmpq $512, %rcx
	movl $512, %eax
	cmovbq %rcx, %rax
	testq %rcx, %rcx
	je .LBB112_9
	movq (%rsi), %rsi
	cmpq $5, %rcx
	jae .LBB112_3
	xorl %r8d, %r8d
	jmp .LBB112_5
.LBB112_3:
	movl %eax, %r8d
	andl $3, %r8d
	movl $4, %r9d
	cmovneq %r8, %r9
	movq %rax, %r8
	subq %r9, %r8
	movq %rsi, %xmm0
	pshufd $68, %xmm0, %xmm0
	leaq 32(%rdx), %r9
	xorl %r10d, %r10d
.LBB112_4:
	movq -16(%r9), %xmm1
	movdqu -32(%r9), %xmm2
	punpcklqdq %xmm1, %xmm2
	movdqu (%r9), %xmm1
	movq 16(%r9), %xmm3
	punpcklqdq %xmm3, %xmm1
	por %xmm0, %xmm2
	por %xmm0, %xmm1
	movdqu %xmm2, (%rdi,%r10,8)
	movdqu %xmm1, 16(%rdi,%r10,8)
	addq $4, %r10
	addq $64, %r9
	cmpq %r10, %r8
	jne .LBB112_4
.LBB112_5:
	movq %r8, %r9
	shlq $4, %r9
	addq %r9, %rdx
.LBB112_6:
	movq (%rdx), %r9
	orq %rsi, %r9
	movq %r9, (%rdi,%r8,8)
	incq %r8
	addq $16, %rdx
	cmpq %r8, %rax
	jne .LBB112_6
	cmpq $511, %rcx
	ja .LBB112_8
.LBB112_9:
	leaq (%rdi,%rax,8), %rdi
	shlq $3, %rax
	movl $4096, %edx
	subq %rax, %rdx
	xorl %esi, %esi
	jmpq *memset@GOTPCREL(%rip)
.LBB112_8:
	retq

golden_list_live:
	pushq %rbx
	cmpq $512, %rcx
	movl $512, %eax
	cmovbq %rcx, %rax
	testq %rcx, %rcx
	je .LBB113_3
	movq (%rsi), %rsi
	movl %eax, %r8d
	andl $3, %r8d
	cmpq $4, %rcx
	jae .LBB113_4
	xorl %r9d, %r9d
	jmp .LBB113_7
.LBB113_3:
	leaq (%rdi,%rax,8), %rcx
	leaq (%rdi,%rax,8), %rdi
	addq $4096, %rdi
	jmp .LBB113_11
.LBB113_4:
	movl %eax, %r10d
	andl $1020, %r10d
	leaq 48(%rdx), %r11
	xorl %r9d, %r9d
.LBB113_5:
	movq -48(%r11), %rbx
	orq %rsi, %rbx
	movq %rbx, (%rdi,%r9,8)
	movq -32(%r11), %rbx
	orq %rsi, %rbx
	movq %rbx, 8(%rdi,%r9,8)
	movq -16(%r11), %rbx
	orq %rsi, %rbx
	movq %rbx, 16(%rdi,%r9,8)
	movq (%r11), %rbx
	orq %rsi, %rbx
	movq %rbx, 24(%rdi,%r9,8)
	addq $4, %r9
	addq $64, %r11
	cmpq %r9, %r10
	jne .LBB113_5
	testq %r8, %r8
	je .LBB113_9
.LBB113_7:
	leaq (%rdi,%r9,8), %r10
	shlq $4, %r9
	addq %r9, %rdx
	shll $3, %r8d
	xorl %r9d, %r9d
.LBB113_8:
	movq (%rdx,%r9,2), %r11
	orq %rsi, %r11
	movq %r11, (%r10,%r9)
	addq $8, %r9
	cmpq %r9, %r8
	jne .LBB113_8
.LBB113_9:
	cmpq $511, %rcx
	ja .LBB113_12
	leaq (%rdi,%rax,8), %rcx
	addq $4096, %rdi
.LBB113_11:
	movq $0, (%rcx)
	addq $8, %rcx
	cmpq %rdi, %rcx
	jne .LBB113_11
.LBB113_12:
	popq %rbx
	retq

golden_clear:
	andl $511, %esi
	movl $512, %ecx
	subq %rsi, %rcx
	cmpq %rdx, %rcx
	cmovaeq %rdx, %rcx
	testq %rdx, %rdx
	je .LBB106_7
	movl %esi, %eax
	leaq (%rdi,%rax,8), %rax
	shll $3, %ecx
	leaq -8(%rcx), %rsi
	movl %esi, %edi
	notl %edi
	movq %rax, %rdx
	testb $56, %dil
	je .LBB106_4
	movl %esi, %edi
	shrl $3, %edi
	incl %edi
	andl $7, %edi
	movq %rax, %rdx
.LBB106_3:
	movq $0, (%rdx)
	addq $8, %rdx
	decq %rdi
	jne .LBB106_3
.LBB106_4:
	cmpq $56, %rsi
	jb .LBB106_7
	addq %rcx, %rax
.LBB106_6:
	movq $0, (%rdx)
	movq $0, 8(%rdx)
	movq $0, 16(%rdx)
	movq $0, 24(%rdx)
	movq $0, 32(%rdx)
	movq $0, 40(%rdx)
	movq $0, 48(%rdx)
	movq $0, 56(%rdx)
	addq $64, %rdx
	cmpq %rax, %rdx
	jne .LBB106_6
.LBB106_7:
	retq

golden_is_zero:
	andl $511, %esi
	cmpq $1, %rdx
	jne .LBB111_2
	movq (%rdi,%rsi,8), %rdx
.LBB111_11:
	testq %rdx, %rdx
	sete %al
	retq
.LBB111_2:
	movl $512, %eax
	subq %rsi, %rax
	cmpq %rdx, %rax
	cmovaeq %rdx, %rax
	testq %rdx, %rdx
	je .LBB111_3
	cmpq $4, %rax
	jae .LBB111_6
	xorl %edx, %edx
	movq %rsi, %rcx
	jmp .LBB111_9
.LBB111_3:
	xorl %edx, %edx
	testq %rdx, %rdx
	sete %al
	retq
.LBB111_6:
	movl %eax, %r8d
	andl $1020, %r8d
	leaq (%rsi,%r8), %rcx
	leaq (,%rax,8), %rdx
	andq $-32, %rdx
	leaq (%rdi,%rsi,8), %r9
	addq $16, %r9
	pxor %xmm0, %xmm0
	xorl %r10d, %r10d
	pxor %xmm1, %xmm1
.LBB111_7:
	movdqu -16(%r9,%r10), %xmm2
	por %xmm2, %xmm1
	movdqu (%r9,%r10), %xmm2
	por %xmm2, %xmm0
	addq $32, %r10
	cmpq %r10, %rdx
	jne .LBB111_7
	por %xmm1, %xmm0
	pshufd $238, %xmm0, %xmm1
	por %xmm0, %xmm1
	movq %xmm1, %rdx
	cmpq %r8, %rax
	je .LBB111_11
.LBB111_9:
	addq %rsi, %rax
.LBB111_10:
	orq (%rdi,%rcx,8), %rdx
	incq %rcx
	cmpq %rcx, %rax
	jne .LBB111_10
	jmp .LBB111_11

golden_translate:
	pushq %rbx
	subq $96, %rsp
	movq %rsi, 16(%rsp)
	movq 88(%rdi), %rax
	xorq %rsi, %rax
	movzbl 99(%rdi), %ecx
	shrq %cl, %rax
	testq %rax, %rax
	jne .LBB115_3
	movq %rsi, %rbx
	leaq 88(%rdi), %rax
	leaq 80(%rdi), %rcx
	leaq 16(%rsp), %rdx
	movq %rdx, 24(%rsp)
	movq %rcx, 32(%rsp)
	movzbl 97(%rdi), %ecx
	movb %cl, 15(%rsp)
	movq %rax, 40(%rsp)
	leaq 15(%rsp), %rax
	movq %rax, 48(%rsp)
	leaq 24(%rsp), %rax
	movq %rax, 56(%rsp)
	leaq 64(%rsp), %rdi
	leaq 40(%rsp), %rsi
	callq _ZN9iopgtable5table4tree13Tree$LT$F$GT$7leaf_at28_$u7b$$u7b$closure$u7d$$u7d$
	movq 64(%rsp), %rax
	cmpq $2, %rax
	je .LBB115_3
	testb $1, %al
	je .LBB115_3
	movb $3, %al
	subb 80(%rsp), %al
	movzbl %al, %eax
	leal (%rax,%rax,8), %ecx
	addb $12, %cl
	movq $-1, %rdx
	shlq %cl, %rdx
	notq %rdx
	movq %rbx, %rax
	andq %rdx, %rax
	orq 88(%rsp), %rax
	addq $96, %rsp
	popq %rbx
	retq
.LBB115_3:
	xorl %eax, %eax
	addq $96, %rsp
	popq %rbx
	retq

golden_cursor_map:
	pushq %r15
	pushq %r14
	pushq %r12
	pushq %rbx
	subq $104, %rsp
	movq %rdx, %rbx
	movq %rsi, %r15
	movq %rdi, %r14
	movl %ebx, %eax
	orl %r15d, %eax
	testl $4095, %eax
	jne .LBB107_2
	movq 104(%r14), %r12
	xorl %ecx, %ecx
	subb 100(%r12), %cl
	movq $-1, %rax
	shrq %cl, %rax
	cmpq %rax, %rbx
	ja .LBB107_2
	leaq 16(%r12), %rsi
	cmpb $3, 32(%r12)
	jne .LBB107_5
	movq $1, 32(%rsp)
	movups (%rsi), %xmm0
	movups %xmm0, 40(%rsp)
	jmp .LBB107_6
.LBB107_5:
	movl 152(%r12), %edx
	leaq 32(%rsp), %rdi
	movl $3, %ecx
	callq *_ZN9iopgtable6format7Encoded6encode
.LBB107_6:
	movq %r15, %rax
	shrq $19, %rax
	andq $-4, %rax
	cmpq %rax, 56(%r12)
	jne .LBB107_7
	movq 40(%r12), %rdx
	movq 64(%r12), %rcx
.LBB107_10:
	movq %rdx, 8(%rsp)
	movq $511, 16(%rsp)
	movq %rcx, 24(%rsp)
	cmpl $1, 32(%rsp)
	je .LBB107_13
	jmp .LBB107_2
.LBB107_7:
	movq %r15, %rcx
	shrq $30, %rcx
	cmpq %rcx, 72(%r12)
	jne .LBB107_11
	movq 48(%r12), %rcx
	movl %r15d, %edx
	shrl $18, %edx
	andl $4088, %edx
	movq (%rcx,%rdx), %rcx
	movl %ecx, %edx
	notl %edx
	testb $3, %dl
	jne .LBB107_11
	movabsq $281474976706560, %rdx
	andq %rdx, %rcx
	movq 80(%r12), %rsi
	movq %rcx, %rdx
	subq 8(%rsi), %rdx
	movq (%rsi), %rsi
	addq %rsi, %rdx
	cmoveq %rsi, %rdx
	movq %rax, 56(%r12)
	movq %rdx, 40(%r12)
	movq %rcx, 64(%r12)
	jmp .LBB107_10
.LBB107_11:
	leaq 40(%r12), %rsi
	leaq 88(%r12), %rdx
	addq $80, %r12
	leaq 8(%rsp), %rdi
	movq %r12, %rcx
	movq %r15, %r8
	callq *_ZN9iopgtable5table6recent6Recent4walk
	cmpl $1, 32(%rsp)
	jne .LBB107_2
.LBB107_13:
	movq 8(%rsp), %rax
	testq %rax, %rax
	je .LBB107_2
	movq 40(%rsp), %rcx
	movq %r15, %rdx
	shrq $12, %rdx
	andq 16(%rsp), %rdx
	movq (%rax,%rdx,8), %rsi
	testq %rsi, %rsi
	je .LBB107_15
.LBB107_2:
	leaq 56(%rsp), %rdi
	movq %r14, %rsi
	movq %r15, %rdx
	movq %rbx, %rcx
	movl $3, %r8d
	callq *_ZN9iopgtable5table6cursor19Cursor$LT$F$C$A$GT$13map_elsewhere
	cmpb $13, 56(%rsp)
	sete %al
.LBB107_16:
	addq $104, %rsp
	popq %rbx
	popq %r12
	popq %r14
	popq %r15
	retq
.LBB107_15:
	orq %rbx, %rcx
	movq %rcx, (%rax,%rdx,8)
	movb $1, 112(%r14)
	movb $1, %al
	jmp .LBB107_16

golden_cursor_unmap:
	pushq %r14
	pushq %rbx
	subq $56, %rsp
	movq %rsi, %rbx
	movq %rdi, %r14
	movq %rsi, %rax
	shlq $52, %rax
	jne .LBB108_2
	movq 104(%r14), %rcx
	cmpq $0, 120(%rcx)
	je .LBB108_3
.LBB108_2:
	leaq 8(%rsp), %rdi
	movq %r14, %rsi
	movq %rbx, %rdx
	callq *_ZN9iopgtable5table6cursor19Cursor$LT$F$C$A$GT$20unmap_page_elsewhere
	cmpb $13, 8(%rsp)
	sete %al
	addq $56, %rsp
	popq %rbx
	popq %r14
	retq
.LBB108_3:
	leaq 40(%rcx), %rsi
	movq %rbx, %rax
	shrq $19, %rax
	andq $-4, %rax
	cmpq %rax, 56(%rcx)
	jne .LBB108_4
	movq (%rsi), %rdx
	movl $511, %eax
	jmp .LBB108_9
.LBB108_4:
	movq %rbx, %rdx
	shrq $30, %rdx
	cmpq %rdx, 72(%rcx)
	jne .LBB108_7
	movq 48(%rcx), %rdx
	movl %ebx, %edi
	shrl $18, %edi
	andl $4088, %edi
	movq (%rdx,%rdi), %rdi
	movl %edi, %edx
	notl %edx
	testb $3, %dl
	jne .LBB108_7
	movabsq $281474976706560, %rdx
	andq %rdx, %rdi
	movq 80(%rcx), %rsi
	movq %rdi, %rdx
	subq 8(%rsi), %rdx
	movq (%rsi), %rsi
	addq %rsi, %rdx
	cmoveq %rsi, %rdx
	movq %rax, 56(%rcx)
	movq %rdx, 40(%rcx)
	movq %rdi, 64(%rcx)
	movl $511, %eax
	jmp .LBB108_9
.LBB108_7:
	leaq 88(%rcx), %rdx
	addq $80, %rcx
	leaq 8(%rsp), %rdi
	movq %rbx, %r8
	callq *_ZN9iopgtable5table6recent6Recent4walk
	movq 8(%rsp), %rdx
	testq %rdx, %rdx
	je .LBB108_2
	movq 16(%rsp), %rax
.LBB108_9:
	movq %rbx, %rcx
	shrq $12, %rcx
	andq %rax, %rcx
	movq $0, (%rdx,%rcx,8)
	movb $1, 112(%r14)
	movq %rbx, %rax
	orq $4095, %rax
	testb $1, (%r14)
	je .LBB108_11
	movq 8(%r14), %rcx
	movq 16(%r14), %rdx
	cmpq %rcx, %rbx
	cmovaeq %rcx, %rbx
	cmpq %rdx, %rax
	cmovbeq %rdx, %rax
.LBB108_11:
	movq $1, (%r14)
	movq %rbx, 8(%r14)
	movq %rax, 16(%r14)
	movb $1, %al
	addq $56, %rsp
	popq %rbx
	popq %r14
	retq

golden_map_call:
	pushq %r15
	pushq %r14
	pushq %r13
	pushq %r12
	pushq %rbx
	subq $128, %rsp
	movq %r8, %r12
	movq %rcx, %r13
	movq %rdx, %r14
	movq %rsi, %r15
	movq %rdi, %rbx
	movl $3, %r9d
	callq *_ZN9iopgtable5table5short58_$LT$impl$u20$iopgtable..table..PageTable$LT$F$C$A$GT$$GT$8map_near
	testb %al, %al
	jne .LBB114_2
	movq %rbx, %rdi
	movq %r15, %rsi
	movq %r14, %rdx
	movq %r13, %rcx
	movq %r12, %r8
	movl $3, %r9d
	callq *_ZN9iopgtable5table5short58_$LT$impl$u20$iopgtable..table..PageTable$LT$F$C$A$GT$$GT$7map_one
	testb %al, %al
	je .LBB114_6
.LBB114_2:
	movq 112(%rbx), %rax
	xorps %xmm0, %xmm0
	movups %xmm0, 104(%rsp)
	movq %rax, 120(%rsp)
.LBB114_3:
	movq 120(%rsp), %rax
	movups 104(%rsp), %xmm0
	cmpq $0, 112(%rsp)
	movaps %xmm0, (%rsp)
	movq %rax, 16(%rsp)
	je .LBB114_5
	movq %rsp, %rsi
	movq %rbx, %rdi
	callq *_ZN9iopgtable5table22PageTable$LT$F$C$A$GT$10free_loose
.LBB114_5:
	movb $1, %al
.LBB114_8:
	addq $128, %rsp
	popq %rbx
	popq %r12
	popq %r13
	popq %r14
	popq %r15
	retq
.LBB114_6:
	movq $1, (%rsp)
	movq %r13, 8(%rsp)
	movq %r12, 16(%rsp)
	leaq 24(%rsp), %rdi
	movq %rsp, %r8
	movq %rbx, %rsi
	movq %r15, %rdx
	movq %r14, %rcx
	movl $3, %r9d
	callq *_ZN9iopgtable5table22PageTable$LT$F$C$A$GT$7map_any
	cmpl $2, 24(%rsp)
	jne .LBB114_3
	xorl %eax, %eax
	jmp .LBB114_8

golden_unmap_call:
	pushq %r15
	pushq %r14
	pushq %rbx
	subq $128, %rsp
	movq %rdx, %r14
	movq %rsi, %r15
	movq %rdi, %rbx
	movq %rsi, %rcx
	movq %rdx, %r8
	callq *_ZN9iopgtable5table5short58_$LT$impl$u20$iopgtable..table..PageTable$LT$F$C$A$GT$$GT$10unmap_near
	testb %al, %al
	jne .LBB116_2
	movq %rbx, %rdi
	movq %r15, %rsi
	movq %r14, %rdx
	movq %r15, %rcx
	movq %r14, %r8
	callq *_ZN9iopgtable5table5short58_$LT$impl$u20$iopgtable..table..PageTable$LT$F$C$A$GT$$GT$11unmap_short
	testb %al, %al
	je .LBB116_6
.LBB116_2:
	movq 112(%rbx), %rax
	xorps %xmm0, %xmm0
	movups %xmm0, 104(%rsp)
	movq %rax, 120(%rsp)
.LBB116_3:
	movq 120(%rsp), %rax
	movups 104(%rsp), %xmm0
	cmpq $0, 112(%rsp)
	movaps %xmm0, (%rsp)
	movq %rax, 16(%rsp)
	je .LBB116_5
	movq %rsp, %rsi
	movq %rbx, %rdi
	callq *_ZN9iopgtable5table22PageTable$LT$F$C$A$GT$10free_loose
.LBB116_5:
	movb $1, %al
.LBB116_8:
	addq $128, %rsp
	popq %rbx
	popq %r14
	popq %r15
	retq
.LBB116_6:
	leaq 24(%rsp), %rdi
	movq %rbx, %rsi
	movq %r15, %rdx
	movq %r14, %rcx
	movq %r15, %r8
	movq %r14, %r9
	callq *_ZN9iopgtable5table22PageTable$LT$F$C$A$GT$9unmap_any
	cmpl $2, 24(%rsp)
	jne .LBB116_3
	xorl %eax, %eax
	jmp .LBB116_8

8map_near:
	subq %rsi, %rdx
	xorl %eax, %eax
	cmpq $4095, %rdx
	jne .LBB76_15
	movq %rcx, %r10
	orl %esi, %ecx
	andl $4095, %ecx
	orq %r8, %rcx
	cmpq $4096, %rcx
	jne .LBB76_15
	xorl %eax, %eax
	xorl %ecx, %ecx
	subb 100(%rdi), %cl
	movq $-1, %rdx
	shrq %cl, %rdx
	cmpq %rdx, %r10
	ja .LBB76_15
	cmpb 32(%rdi), %r9b
	jne .LBB76_15
	testb %r9b, %r9b
	je .LBB76_9
	movq 16(%rdi), %rax
	movq %rsi, %rcx
	shrq $19, %rcx
	andq $-4, %rcx
	cmpq %rcx, 56(%rdi)
	jne .LBB76_10
	movq 40(%rdi), %rdx
.LBB76_7:
	shrl $12, %esi
	andl $511, %esi
	movq (%rdx,%rsi,8), %rcx
	testq %rcx, %rcx
	jne .LBB76_9
	orq %r10, %rax
	movq %rax, (%rdx,%rsi,8)
	movb $1, %al
.LBB76_15:
	retq
.LBB76_10:
	movq %rsi, %rdx
	shrq $30, %rdx
	cmpq %rdx, 72(%rdi)
	jne .LBB76_9
	movq 48(%rdi), %rdx
	movl %esi, %r8d
	shrl $18, %r8d
	andl $4088, %r8d
	movq (%rdx,%r8), %r8
	movl %r8d, %edx
	notl %edx
	testb $3, %dl
	jne .LBB76_9
	movabsq $281474976706560, %rdx
	andq %rdx, %r8
	movq 80(%rdi), %r9
	movq %r8, %rdx
	subq 8(%r9), %rdx
	movq (%r9), %r9
	addq %r9, %rdx
	cmoveq %r9, %rdx
	movq %rcx, 56(%rdi)
	movq %rdx, 40(%rdi)
	movq %r8, 64(%rdi)
	jmp .LBB76_7
.LBB76_9:
	xorl %eax, %eax
	retq

10unmap_near:
	movq %rdx, %r9
	subq %rsi, %r9
	xorl %eax, %eax
	cmpq $4095, %r9
	ja .LBB73_7
	cmpq %rcx, %rsi
	jne .LBB73_7
	cmpq %r8, %rdx
	jne .LBB73_7
	incl %edx
	movl %esi, %eax
	orl %edx, %eax
	andl $4095, %eax
	orq 120(%rdi), %rax
	jne .LBB73_8
	movq %rsi, %rax
	shrq $19, %rax
	andq $-4, %rax
	cmpq %rax, 56(%rdi)
	jne .LBB73_9
	movq 40(%rdi), %rdx
.LBB73_6:
	shrl $9, %esi
	andl $4088, %esi
	movq $0, (%rdx,%rsi)
	movb $1, %al
.LBB73_7:
	retq
.LBB73_9:
	movq %rsi, %rcx
	shrq $30, %rcx
	cmpq %rcx, 72(%rdi)
	jne .LBB73_8
	movq 48(%rdi), %rcx
	movl %esi, %edx
	shrl $18, %edx
	andl $4088, %edx
	movq (%rcx,%rdx), %rcx
	movl %ecx, %edx
	notl %edx
	testb $3, %dl
	jne .LBB73_8
	movabsq $281474976706560, %rdx
	andq %rdx, %rcx
	movq 80(%rdi), %r8
	movq %rcx, %rdx
	subq 8(%r8), %rdx
	movq (%r8), %r8
	addq %r8, %rdx
	cmoveq %r8, %rdx
	movq %rax, 56(%rdi)
	movq %rdx, 40(%rdi)
	movq %rcx, 64(%rdi)
	jmp .LBB73_6
.LBB73_8:
	xorl %eax, %eax
	retq
