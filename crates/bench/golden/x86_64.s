# rustc 1.95.0 (59807616e 2026-04-14)
# golden_fill_fresh: 14 instructions / 8
# golden_fill_live: 19 instructions / 8
# golden_list_fresh: 14 instructions / 4
# golden_list_live: 19 instructions / 16
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
	paddq .LCPI132_0(%rip), %xmm0
	xorl %eax, %eax
	movdqa .LCPI132_1(%rip), %xmm1
	movdqa .LCPI132_2(%rip), %xmm2
	movdqa .LCPI132_3(%rip), %xmm3
	movdqa .LCPI132_4(%rip), %xmm4
.LBB132_1:
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
	jne .LBB132_1
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
	je .LBB135_9
	movq (%rsi), %rsi
	cmpq $5, %rcx
	jae .LBB135_3
	xorl %r8d, %r8d
	jmp .LBB135_5
.LBB135_3:
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
.LBB135_4:
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
	jne .LBB135_4
.LBB135_5:
	movq %r8, %r9
	shlq $4, %r9
	addq %r9, %rdx
.LBB135_6:
	movq (%rdx), %r9
	orq %rsi, %r9
	movq %r9, (%rdi,%r8,8)
	incq %r8
	addq $16, %rdx
	cmpq %r8, %rax
	jne .LBB135_6
	cmpq $511, %rcx
	jbe .LBB135_9
	retq
.LBB135_9:
	leaq (,%rax,8), %rcx
	movl $4096, %edx
	subq %rcx, %rdx
	leaq (%rdi,%rax,8), %rdi
	xorl %esi, %esi
	jmpq *memset@GOTPCREL(%rip)

golden_list_live:
	pushq %rbx
	cmpq $512, %rcx
	movl $512, %eax
	movl $512, %r8d
	cmovbq %rcx, %r8
	testq %rcx, %rcx
	je .LBB136_8
	movq (%rsi), %rsi
	movl %r8d, %r9d
	andl $3, %r9d
	cmpq $4, %rcx
	jae .LBB136_3
	xorl %ecx, %ecx
	jmp .LBB136_6
.LBB136_3:
	movl %r8d, %r10d
	andl $1020, %r10d
	leaq 48(%rdx), %r11
	xorl %ecx, %ecx
.LBB136_4:
	movq -48(%r11), %rbx
	orq %rsi, %rbx
	movq %rbx, (%rdi,%rcx,8)
	movq -32(%r11), %rbx
	orq %rsi, %rbx
	movq %rbx, 8(%rdi,%rcx,8)
	movq -16(%r11), %rbx
	orq %rsi, %rbx
	movq %rbx, 16(%rdi,%rcx,8)
	movq (%r11), %rbx
	orq %rsi, %rbx
	movq %rbx, 24(%rdi,%rcx,8)
	addq $4, %rcx
	addq $64, %r11
	cmpq %rcx, %r10
	jne .LBB136_4
	testq %r9, %r9
	je .LBB136_8
.LBB136_6:
	leaq (%rdi,%rcx,8), %r10
	shlq $4, %rcx
	addq %rcx, %rdx
	shll $3, %r9d
	xorl %ecx, %ecx
.LBB136_7:
	movq (%rdx,%rcx,2), %r11
	orq %rsi, %r11
	movq %r11, (%r10,%rcx)
	addq $8, %rcx
	cmpq %rcx, %r9
	jne .LBB136_7
.LBB136_8:
	subq %r8, %rax
	leaq (%rdi,%r8,8), %rcx
	movl %eax, %edx
	andl $7, %edx
	andq $1016, %rax
	je .LBB136_14
	movl $504, %r9d
	subq %r8, %r9
	movq %rcx, %rsi
	movq %rax, %rdi
	testb $8, %r9b
	jne .LBB136_11
	movq $0, (%rcx)
	movq $0, 8(%rcx)
	movq $0, 16(%rcx)
	movq $0, 24(%rcx)
	movq $0, 32(%rcx)
	movq $0, 40(%rcx)
	movq $0, 48(%rcx)
	movq $0, 56(%rcx)
	leaq 64(%rcx), %rsi
	leaq -8(%rax), %rdi
.LBB136_11:
	cmpq $8, %r9
	jb .LBB136_14
	xorl %r8d, %r8d
.LBB136_13:
	movq $0, (%rsi,%r8,8)
	movq $0, 8(%rsi,%r8,8)
	movq $0, 16(%rsi,%r8,8)
	movq $0, 24(%rsi,%r8,8)
	movq $0, 32(%rsi,%r8,8)
	movq $0, 40(%rsi,%r8,8)
	movq $0, 48(%rsi,%r8,8)
	movq $0, 56(%rsi,%r8,8)
	movq $0, 64(%rsi,%r8,8)
	movq $0, 72(%rsi,%r8,8)
	movq $0, 80(%rsi,%r8,8)
	movq $0, 88(%rsi,%r8,8)
	movq $0, 96(%rsi,%r8,8)
	movq $0, 104(%rsi,%r8,8)
	movq $0, 112(%rsi,%r8,8)
	movq $0, 120(%rsi,%r8,8)
	addq $16, %r8
	cmpq %r8, %rdi
	jne .LBB136_13
.LBB136_14:
	testq %rdx, %rdx
	je .LBB136_22
	movq $0, (%rcx,%rax,8)
	cmpl $1, %edx
	je .LBB136_22
	movq $0, 8(%rcx,%rax,8)
	cmpl $2, %edx
	je .LBB136_22
	movq $0, 16(%rcx,%rax,8)
	cmpl $3, %edx
	je .LBB136_22
	movq $0, 24(%rcx,%rax,8)
	cmpl $4, %edx
	je .LBB136_22
	movq $0, 32(%rcx,%rax,8)
	cmpl $5, %edx
	je .LBB136_22
	movq $0, 40(%rcx,%rax,8)
	cmpl $6, %edx
	je .LBB136_22
	movq $0, 48(%rcx,%rax,8)
.LBB136_22:
	popq %rbx
	retq

golden_clear:
	andl $511, %esi
	movl $512, %ecx
	subq %rsi, %rcx
	cmpq %rdx, %rcx
	cmovaeq %rdx, %rcx
	testq %rdx, %rdx
	je .LBB129_7
	movl %esi, %eax
	leaq (%rdi,%rax,8), %rax
	shll $3, %ecx
	leaq -8(%rcx), %rsi
	movl %esi, %edi
	notl %edi
	movq %rax, %rdx
	testb $56, %dil
	je .LBB129_4
	movl %esi, %edi
	shrl $3, %edi
	incl %edi
	andl $7, %edi
	movq %rax, %rdx
.LBB129_3:
	movq $0, (%rdx)
	addq $8, %rdx
	decq %rdi
	jne .LBB129_3
.LBB129_4:
	cmpq $56, %rsi
	jb .LBB129_7
	addq %rcx, %rax
.LBB129_6:
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
	jne .LBB129_6
.LBB129_7:
	retq

golden_is_zero:
	andl $511, %esi
	cmpq $1, %rdx
	jne .LBB134_2
	movq (%rdi,%rsi,8), %rdx
.LBB134_11:
	testq %rdx, %rdx
	sete %al
	retq
.LBB134_2:
	movl $512, %eax
	subq %rsi, %rax
	cmpq %rdx, %rax
	cmovaeq %rdx, %rax
	testq %rdx, %rdx
	je .LBB134_3
	cmpq $4, %rax
	jae .LBB134_6
	xorl %edx, %edx
	movq %rsi, %rcx
	jmp .LBB134_9
.LBB134_3:
	xorl %edx, %edx
	testq %rdx, %rdx
	sete %al
	retq
.LBB134_6:
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
.LBB134_7:
	movdqu -16(%r9,%r10), %xmm2
	por %xmm2, %xmm1
	movdqu (%r9,%r10), %xmm2
	por %xmm2, %xmm0
	addq $32, %r10
	cmpq %r10, %rdx
	jne .LBB134_7
	por %xmm1, %xmm0
	pshufd $238, %xmm0, %xmm1
	por %xmm0, %xmm1
	movq %xmm1, %rdx
	cmpq %r8, %rax
	je .LBB134_11
.LBB134_9:
	addq %rsi, %rax
.LBB134_10:
	orq (%rdi,%rcx,8), %rdx
	incq %rcx
	cmpq %rcx, %rax
	jne .LBB134_10
	jmp .LBB134_11

golden_translate:
	pushq %rbx
	subq $96, %rsp
	movq %rsi, 16(%rsp)
	movq 88(%rdi), %rax
	xorq %rsi, %rax
	movzbl 99(%rdi), %ecx
	shrq %cl, %rax
	testq %rax, %rax
	jne .LBB138_3
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
	callq _ZN9iopgtable5table4tree17Tree$LT$F$C$S$GT$7leaf_at28_$u7b$$u7b$closure$u7d$$u7d$
	movq 64(%rsp), %rax
	cmpq $2, %rax
	je .LBB138_3
	testb $1, %al
	je .LBB138_3
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
.LBB138_3:
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
	jne .LBB130_2
	movq 104(%r14), %r12
	xorl %ecx, %ecx
	subb 100(%r12), %cl
	movq $-1, %rax
	shrq %cl, %rax
	cmpq %rax, %rbx
	ja .LBB130_2
	leaq 16(%r12), %rsi
	cmpb $3, 32(%r12)
	jne .LBB130_5
	movq $1, 32(%rsp)
	movups (%rsi), %xmm0
	movups %xmm0, 40(%rsp)
	jmp .LBB130_6
.LBB130_5:
	movl 160(%r12), %edx
	leaq 32(%rsp), %rdi
	movl $3, %ecx
	callq *_ZN9iopgtable6format7Encoded6encode
.LBB130_6:
	movq %r15, %rax
	shrq $19, %rax
	andq $-4, %rax
	cmpq %rax, 56(%r12)
	jne .LBB130_7
	movq 40(%r12), %rdx
	movq 64(%r12), %rcx
.LBB130_10:
	movq %rdx, 8(%rsp)
	movq $511, 16(%rsp)
	movq %rcx, 24(%rsp)
	cmpl $1, 32(%rsp)
	je .LBB130_13
	jmp .LBB130_2
.LBB130_7:
	movq %r15, %rcx
	shrq $30, %rcx
	cmpq %rcx, 72(%r12)
	jne .LBB130_11
	movq 48(%r12), %rcx
	movl %r15d, %edx
	shrl $18, %edx
	andl $4088, %edx
	movq (%rcx,%rdx), %rcx
	movl %ecx, %edx
	notl %edx
	testb $3, %dl
	jne .LBB130_11
	movabsq $281474976706560, %rdx
	andq %rdx, %rcx
	movq 80(%r12), %rsi
	movq %rcx, %rdx
	subq 520(%rsi), %rdx
	movq 512(%rsi), %rsi
	addq %rsi, %rdx
	cmoveq %rsi, %rdx
	movq %rax, 56(%r12)
	movq %rdx, 40(%r12)
	movq %rcx, 64(%r12)
	jmp .LBB130_10
.LBB130_11:
	leaq 40(%r12), %rsi
	leaq 88(%r12), %rdx
	addq $80, %r12
	leaq 8(%rsp), %rdi
	movq %r12, %rcx
	movq %r15, %r8
	callq *_ZN9iopgtable5table6recent6Recent4walk
	cmpl $1, 32(%rsp)
	jne .LBB130_2
.LBB130_13:
	movq 8(%rsp), %rax
	testq %rax, %rax
	je .LBB130_2
	movq 40(%rsp), %rcx
	movq %r15, %rdx
	shrq $12, %rdx
	andq 16(%rsp), %rdx
	movq (%rax,%rdx,8), %rsi
	testq %rsi, %rsi
	je .LBB130_15
.LBB130_2:
	leaq 56(%rsp), %rdi
	movq %r14, %rsi
	movq %r15, %rdx
	movq %rbx, %rcx
	movl $3, %r8d
	callq *_ZN9iopgtable5table6cursor19Cursor$LT$F$C$A$GT$13map_elsewhere
	cmpb $17, 56(%rsp)
	sete %al
.LBB130_16:
	addq $104, %rsp
	popq %rbx
	popq %r12
	popq %r14
	popq %r15
	retq
.LBB130_15:
	orq %rbx, %rcx
	movq %rcx, (%rax,%rdx,8)
	movb $1, 112(%r14)
	movb $1, %al
	jmp .LBB130_16

golden_cursor_unmap:
	pushq %r14
	pushq %rbx
	subq $56, %rsp
	movq %rsi, %rbx
	movq %rdi, %r14
	movq %rsi, %rax
	shlq $52, %rax
	jne .LBB131_2
	movq 104(%r14), %rcx
	cmpq $0, 120(%rcx)
	je .LBB131_3
.LBB131_2:
	leaq 8(%rsp), %rdi
	movq %r14, %rsi
	movq %rbx, %rdx
	callq *_ZN9iopgtable5table6cursor19Cursor$LT$F$C$A$GT$20unmap_page_elsewhere
	cmpb $17, 8(%rsp)
	sete %al
	addq $56, %rsp
	popq %rbx
	popq %r14
	retq
.LBB131_3:
	leaq 40(%rcx), %rsi
	movq %rbx, %rax
	shrq $19, %rax
	andq $-4, %rax
	cmpq %rax, 56(%rcx)
	jne .LBB131_4
	movq (%rsi), %rdx
	movl $511, %eax
	jmp .LBB131_9
.LBB131_4:
	movq %rbx, %rdx
	shrq $30, %rdx
	cmpq %rdx, 72(%rcx)
	jne .LBB131_7
	movq 48(%rcx), %rdx
	movl %ebx, %edi
	shrl $18, %edi
	andl $4088, %edi
	movq (%rdx,%rdi), %rdi
	movl %edi, %edx
	notl %edx
	testb $3, %dl
	jne .LBB131_7
	movabsq $281474976706560, %rdx
	andq %rdx, %rdi
	movq 80(%rcx), %rsi
	movq %rdi, %rdx
	subq 520(%rsi), %rdx
	movq 512(%rsi), %rsi
	addq %rsi, %rdx
	cmoveq %rsi, %rdx
	movq %rax, 56(%rcx)
	movq %rdx, 40(%rcx)
	movq %rdi, 64(%rcx)
	movl $511, %eax
	jmp .LBB131_9
.LBB131_7:
	leaq 88(%rcx), %rdx
	addq $80, %rcx
	leaq 8(%rsp), %rdi
	movq %rbx, %r8
	callq *_ZN9iopgtable5table6recent6Recent4walk
	movq 8(%rsp), %rdx
	testq %rdx, %rdx
	je .LBB131_2
	movq 16(%rsp), %rax
.LBB131_9:
	movq %rbx, %rcx
	shrq $12, %rcx
	andq %rax, %rcx
	movq $0, (%rdx,%rcx,8)
	movb $1, 112(%r14)
	movq %rbx, %rax
	orq $4095, %rax
	testb $1, (%r14)
	je .LBB131_11
	movq 8(%r14), %rcx
	movq 16(%r14), %rdx
	cmpq %rcx, %rbx
	cmovaeq %rcx, %rbx
	cmpq %rdx, %rax
	cmovbeq %rdx, %rax
.LBB131_11:
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
	jne .LBB137_2
	movq %rbx, %rdi
	movq %r15, %rsi
	movq %r14, %rdx
	movq %r13, %rcx
	movq %r12, %r8
	movl $3, %r9d
	callq *_ZN9iopgtable5table5short58_$LT$impl$u20$iopgtable..table..PageTable$LT$F$C$A$GT$$GT$7map_one
	testb %al, %al
	je .LBB137_6
.LBB137_2:
	movq 112(%rbx), %rax
	xorps %xmm0, %xmm0
	movups %xmm0, 104(%rsp)
	movq %rax, 120(%rsp)
.LBB137_3:
	movq 120(%rsp), %rax
	movups 104(%rsp), %xmm0
	cmpq $0, 112(%rsp)
	movaps %xmm0, (%rsp)
	movq %rax, 16(%rsp)
	je .LBB137_5
	movq %rsp, %rsi
	movq %rbx, %rdi
	callq *_ZN9iopgtable5table22PageTable$LT$F$C$A$GT$10free_loose
.LBB137_5:
	movb $1, %al
.LBB137_8:
	addq $128, %rsp
	popq %rbx
	popq %r12
	popq %r13
	popq %r14
	popq %r15
	retq
.LBB137_6:
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
	jne .LBB137_3
	xorl %eax, %eax
	jmp .LBB137_8

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
	jne .LBB139_2
	movq %rbx, %rdi
	movq %r15, %rsi
	movq %r14, %rdx
	movq %r15, %rcx
	movq %r14, %r8
	callq *_ZN9iopgtable5table5short58_$LT$impl$u20$iopgtable..table..PageTable$LT$F$C$A$GT$$GT$11unmap_short
	testb %al, %al
	je .LBB139_6
.LBB139_2:
	movq 112(%rbx), %rax
	xorps %xmm0, %xmm0
	movups %xmm0, 104(%rsp)
	movq %rax, 120(%rsp)
.LBB139_3:
	movq 120(%rsp), %rax
	movups 104(%rsp), %xmm0
	cmpq $0, 112(%rsp)
	movaps %xmm0, (%rsp)
	movq %rax, 16(%rsp)
	je .LBB139_5
	movq %rsp, %rsi
	movq %rbx, %rdi
	callq *_ZN9iopgtable5table22PageTable$LT$F$C$A$GT$10free_loose
.LBB139_5:
	movb $1, %al
.LBB139_8:
	addq $128, %rsp
	popq %rbx
	popq %r14
	popq %r15
	retq
.LBB139_6:
	leaq 24(%rsp), %rdi
	movq %rbx, %rsi
	movq %r15, %rdx
	movq %r14, %rcx
	movq %r15, %r8
	movq %r14, %r9
	callq *_ZN9iopgtable5table22PageTable$LT$F$C$A$GT$9unmap_any
	cmpl $2, 24(%rsp)
	jne .LBB139_3
	xorl %eax, %eax
	jmp .LBB139_8

8map_near:
	subq %rsi, %rdx
	xorl %eax, %eax
	cmpq $4095, %rdx
	jne .LBB91_15
	movq %rcx, %r10
	orl %esi, %ecx
	andl $4095, %ecx
	orq %r8, %rcx
	cmpq $4096, %rcx
	jne .LBB91_15
	xorl %eax, %eax
	xorl %ecx, %ecx
	subb 100(%rdi), %cl
	movq $-1, %rdx
	shrq %cl, %rdx
	cmpq %rdx, %r10
	ja .LBB91_15
	cmpb 32(%rdi), %r9b
	jne .LBB91_15
	testb %r9b, %r9b
	je .LBB91_9
	movq 16(%rdi), %rax
	movq %rsi, %rcx
	shrq $19, %rcx
	andq $-4, %rcx
	cmpq %rcx, 56(%rdi)
	jne .LBB91_10
	movq 40(%rdi), %rdx
.LBB91_7:
	shrl $12, %esi
	andl $511, %esi
	movq (%rdx,%rsi,8), %rcx
	testq %rcx, %rcx
	jne .LBB91_9
	orq %r10, %rax
	movq %rax, (%rdx,%rsi,8)
	movb $1, %al
.LBB91_15:
	retq
.LBB91_10:
	movq %rsi, %rdx
	shrq $30, %rdx
	cmpq %rdx, 72(%rdi)
	jne .LBB91_9
	movq 48(%rdi), %rdx
	movl %esi, %r8d
	shrl $18, %r8d
	andl $4088, %r8d
	movq (%rdx,%r8), %r8
	movl %r8d, %edx
	notl %edx
	testb $3, %dl
	jne .LBB91_9
	movabsq $281474976706560, %rdx
	andq %rdx, %r8
	movq 80(%rdi), %r9
	movq %r8, %rdx
	subq 520(%r9), %rdx
	movq 512(%r9), %r9
	addq %r9, %rdx
	cmoveq %r9, %rdx
	movq %rcx, 56(%rdi)
	movq %rdx, 40(%rdi)
	movq %r8, 64(%rdi)
	jmp .LBB91_7
.LBB91_9:
	xorl %eax, %eax
	retq

10unmap_near:
	movq %rdx, %r9
	subq %rsi, %r9
	xorl %eax, %eax
	cmpq $4095, %r9
	ja .LBB88_7
	cmpq %rcx, %rsi
	jne .LBB88_7
	cmpq %r8, %rdx
	jne .LBB88_7
	incl %edx
	movl %esi, %eax
	orl %edx, %eax
	andl $4095, %eax
	orq 120(%rdi), %rax
	jne .LBB88_8
	movq %rsi, %rax
	shrq $19, %rax
	andq $-4, %rax
	cmpq %rax, 56(%rdi)
	jne .LBB88_9
	movq 40(%rdi), %rdx
.LBB88_6:
	shrl $9, %esi
	andl $4088, %esi
	movq $0, (%rdx,%rsi)
	movb $1, %al
.LBB88_7:
	retq
.LBB88_9:
	movq %rsi, %rcx
	shrq $30, %rcx
	cmpq %rcx, 72(%rdi)
	jne .LBB88_8
	movq 48(%rdi), %rcx
	movl %esi, %edx
	shrl $18, %edx
	andl $4088, %edx
	movq (%rcx,%rdx), %rcx
	movl %ecx, %edx
	notl %edx
	testb $3, %dl
	jne .LBB88_8
	movabsq $281474976706560, %rdx
	andq %rdx, %rcx
	movq 80(%rdi), %r8
	movq %rcx, %rdx
	subq 520(%r8), %rdx
	movq 512(%r8), %r8
	addq %r8, %rdx
	cmoveq %r8, %rdx
	movq %rax, 56(%rdi)
	movq %rdx, 40(%rdi)
	movq %rcx, 64(%rdi)
	jmp .LBB88_6
.LBB88_8:
	xorl %eax, %eax
	retq
