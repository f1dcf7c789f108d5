# rustc 1.95.0 (59807616e 2026-04-14)
# golden_fill_fresh: 14 instructions / 8
# golden_fill_live: 19 instructions / 8
# golden_list_fresh: 14 instructions / 4
# golden_list_live: 19 instructions / 16
# golden_clear: 11 instructions / 8
# golden_is_zero: 7 instructions / 4
# golden_translate: 46 instructions / 1
# golden_cursor_map: 106 instructions / 1
# golden_cursor_unmap: 88 instructions / 1
# golden_map_call: 74 instructions / 1
# golden_unmap_call: 53 instructions / 1
# 8map_near: 64 instructions / 1
# 10unmap_near: 54 instructions / 1

golden_fill_fresh:
	orq (%rsi), %rdx
	movq %rdx, %xmm0
	pshufd $68, %xmm0, %xmm0
	paddq .LCPI147_0(%rip), %xmm0
	xorl %eax, %eax
	movdqa .LCPI147_1(%rip), %xmm1
	movdqa .LCPI147_2(%rip), %xmm2
	movdqa .LCPI147_3(%rip), %xmm3
	movdqa .LCPI147_4(%rip), %xmm4
.LBB147_1:
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
	jne .LBB147_1
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
	je .LBB150_9
	movq (%rsi), %rsi
	cmpq $5, %rcx
	jae .LBB150_3
	xorl %r8d, %r8d
	jmp .LBB150_5
.LBB150_3:
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
.LBB150_4:
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
	jne .LBB150_4
.LBB150_5:
	movq %r8, %r9
	shlq $4, %r9
	addq %r9, %rdx
.LBB150_6:
	movq (%rdx), %r9
	orq %rsi, %r9
	movq %r9, (%rdi,%r8,8)
	incq %r8
	addq $16, %rdx
	cmpq %r8, %rax
	jne .LBB150_6
	cmpq $511, %rcx
	jbe .LBB150_9
	retq
.LBB150_9:
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
	je .LBB151_8
	movq (%rsi), %rsi
	movl %r8d, %r9d
	andl $3, %r9d
	cmpq $4, %rcx
	jae .LBB151_3
	xorl %ecx, %ecx
	jmp .LBB151_6
.LBB151_3:
	movl %r8d, %r10d
	andl $1020, %r10d
	leaq 48(%rdx), %r11
	xorl %ecx, %ecx
.LBB151_4:
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
	jne .LBB151_4
	testq %r9, %r9
	je .LBB151_8
.LBB151_6:
	leaq (%rdi,%rcx,8), %r10
	shlq $4, %rcx
	addq %rcx, %rdx
	shll $3, %r9d
	xorl %ecx, %ecx
.LBB151_7:
	movq (%rdx,%rcx,2), %r11
	orq %rsi, %r11
	movq %r11, (%r10,%rcx)
	addq $8, %rcx
	cmpq %rcx, %r9
	jne .LBB151_7
.LBB151_8:
	subq %r8, %rax
	leaq (%rdi,%r8,8), %rcx
	movl %eax, %edx
	andl $7, %edx
	andq $1016, %rax
	je .LBB151_14
	movl $504, %r9d
	subq %r8, %r9
	movq %rcx, %rsi
	movq %rax, %rdi
	testb $8, %r9b
	jne .LBB151_11
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
.LBB151_11:
	cmpq $8, %r9
	jb .LBB151_14
	xorl %r8d, %r8d
.LBB151_13:
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
	jne .LBB151_13
.LBB151_14:
	testq %rdx, %rdx
	je .LBB151_22
	movq $0, (%rcx,%rax,8)
	cmpl $1, %edx
	je .LBB151_22
	movq $0, 8(%rcx,%rax,8)
	cmpl $2, %edx
	je .LBB151_22
	movq $0, 16(%rcx,%rax,8)
	cmpl $3, %edx
	je .LBB151_22
	movq $0, 24(%rcx,%rax,8)
	cmpl $4, %edx
	je .LBB151_22
	movq $0, 32(%rcx,%rax,8)
	cmpl $5, %edx
	je .LBB151_22
	movq $0, 40(%rcx,%rax,8)
	cmpl $6, %edx
	je .LBB151_22
	movq $0, 48(%rcx,%rax,8)
.LBB151_22:
	popq %rbx
	retq

golden_clear:
	andl $511, %esi
	movl $512, %ecx
	subq %rsi, %rcx
	cmpq %rdx, %rcx
	cmovaeq %rdx, %rcx
	testq %rdx, %rdx
	je .LBB144_7
	movl %esi, %eax
	leaq (%rdi,%rax,8), %rax
	shll $3, %ecx
	leaq -8(%rcx), %rsi
	movl %esi, %edi
	notl %edi
	movq %rax, %rdx
	testb $56, %dil
	je .LBB144_4
	movl %esi, %edi
	shrl $3, %edi
	incl %edi
	andl $7, %edi
	movq %rax, %rdx
.LBB144_3:
	movq $0, (%rdx)
	addq $8, %rdx
	decq %rdi
	jne .LBB144_3
.LBB144_4:
	cmpq $56, %rsi
	jb .LBB144_7
	addq %rcx, %rax
.LBB144_6:
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
	jne .LBB144_6
.LBB144_7:
	retq

golden_is_zero:
	andl $511, %esi
	cmpq $1, %rdx
	jne .LBB149_2
	movq (%rdi,%rsi,8), %rdx
.LBB149_11:
	testq %rdx, %rdx
	sete %al
	retq
.LBB149_2:
	movl $512, %eax
	subq %rsi, %rax
	cmpq %rdx, %rax
	cmovaeq %rdx, %rax
	testq %rdx, %rdx
	je .LBB149_3
	cmpq $4, %rax
	jae .LBB149_6
	xorl %edx, %edx
	movq %rsi, %rcx
	jmp .LBB149_9
.LBB149_3:
	xorl %edx, %edx
	testq %rdx, %rdx
	sete %al
	retq
.LBB149_6:
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
.LBB149_7:
	movdqu -16(%r9,%r10), %xmm2
	por %xmm2, %xmm1
	movdqu (%r9,%r10), %xmm2
	por %xmm2, %xmm0
	addq $32, %r10
	cmpq %r10, %rdx
	jne .LBB149_7
	por %xmm1, %xmm0
	pshufd $238, %xmm0, %xmm1
	por %xmm0, %xmm1
	movq %xmm1, %rdx
	cmpq %r8, %rax
	je .LBB149_11
.LBB149_9:
	addq %rsi, %rax
.LBB149_10:
	orq (%rdi,%rcx,8), %rdx
	incq %rcx
	cmpq %rcx, %rax
	jne .LBB149_10
	jmp .LBB149_11

golden_translate:
	pushq %rbx
	subq $96, %rsp
	movq %rsi, 16(%rsp)
	movq 144(%rdi), %rax
	xorq %rsi, %rax
	cmpq 152(%rdi), %rax
	ja .LBB153_3
	movq %rsi, %rbx
	leaq 96(%rdi), %rax
	leaq 88(%rdi), %rcx
	leaq 16(%rsp), %rdx
	movq %rdx, 24(%rsp)
	movq %rcx, 32(%rsp)
	movzbl 175(%rdi), %ecx
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
	je .LBB153_3
	testb $1, %al
	je .LBB153_3
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
.LBB153_3:
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
	jne .LBB145_2
	movq 112(%r14), %r12
	xorl %ecx, %ecx
	subb 178(%r12), %cl
	movq $-1, %rax
	shrq %cl, %rax
	cmpq %rax, %rbx
	ja .LBB145_2
	leaq 24(%r12), %rsi
	cmpb $3, 40(%r12)
	jne .LBB145_5
	movq $1, 32(%rsp)
	movups (%rsi), %xmm0
	movups %xmm0, 40(%rsp)
	jmp .LBB145_6
.LBB145_5:
	movl 184(%r12), %edx
	leaq 32(%rsp), %rdi
	movl $3, %ecx
	callq *_ZN9iopgtable6format7Encoded6encode
.LBB145_6:
	movq %r15, %rax
	shrq $21, %rax
	leaq 1(,%rax,4), %rax
	cmpq %rax, 64(%r12)
	jne .LBB145_7
	movq 48(%r12), %rdx
	movq 72(%r12), %rcx
.LBB145_10:
	movq %rdx, 8(%rsp)
	movq $511, 16(%rsp)
	movq %rcx, 24(%rsp)
	cmpl $1, 32(%rsp)
	je .LBB145_13
	jmp .LBB145_2
.LBB145_7:
	movq %r15, %rcx
	shrq $30, %rcx
	cmpq %rcx, 80(%r12)
	jne .LBB145_11
	movq 56(%r12), %rcx
	movl %r15d, %edx
	shrl $18, %edx
	andl $4088, %edx
	movq (%rcx,%rdx), %rcx
	movl %ecx, %edx
	notl %edx
	testb $3, %dl
	jne .LBB145_11
	movabsq $281474976706560, %rdx
	andq %rdx, %rcx
	movq 88(%r12), %rsi
	movq %rcx, %rdx
	subq 3080(%rsi), %rdx
	movq 3072(%rsi), %rsi
	addq %rsi, %rdx
	cmoveq %rsi, %rdx
	movq %rax, 64(%r12)
	movq %rdx, 48(%r12)
	movq %rcx, 72(%r12)
	jmp .LBB145_10
.LBB145_11:
	leaq 48(%r12), %rsi
	leaq 96(%r12), %rdx
	addq $88, %r12
	leaq 8(%rsp), %rdi
	movq %r12, %rcx
	movq %r15, %r8
	callq *_ZN9iopgtable5table6recent6Recent4walk
	cmpl $1, 32(%rsp)
	jne .LBB145_2
.LBB145_13:
	movq 8(%rsp), %rax
	testq %rax, %rax
	je .LBB145_2
	movq 40(%rsp), %rcx
	movq %r15, %rdx
	shrq $12, %rdx
	andq 16(%rsp), %rdx
	movq (%rax,%rdx,8), %rsi
	testq %rsi, %rsi
	je .LBB145_15
.LBB145_2:
	leaq 56(%rsp), %rdi
	movq %r14, %rsi
	movq %r15, %rdx
	movq %rbx, %rcx
	movl $3, %r8d
	callq *_ZN9iopgtable5table6cursor19Cursor$LT$F$C$A$GT$13map_elsewhere
	cmpb $17, 56(%rsp)
	sete %al
.LBB145_16:
	addq $104, %rsp
	popq %rbx
	popq %r12
	popq %r14
	popq %r15
	retq
.LBB145_15:
	orq %rbx, %rcx
	movq %rcx, (%rax,%rdx,8)
	movb $1, 120(%r14)
	movb $1, %al
	jmp .LBB145_16

golden_cursor_unmap:
	pushq %r15
	pushq %r14
	pushq %rbx
	subq $48, %rsp
	movq %rsi, %rbx
	movq %rdi, %r14
	movq %rsi, %rax
	shlq $52, %rax
	jne .LBB146_2
	movq 112(%r14), %r15
	cmpq $0, 104(%r15)
	je .LBB146_4
.LBB146_2:
	movq %rsp, %rdi
	movq %r14, %rsi
	movq %rbx, %rdx
	callq *_ZN9iopgtable5table6cursor19Cursor$LT$F$C$A$GT$20unmap_page_elsewhere
	cmpb $17, (%rsp)
	sete %al
.LBB146_3:
	addq $48, %rsp
	popq %rbx
	popq %r14
	popq %r15
	retq
.LBB146_4:
	leaq 48(%r15), %rsi
	movq %rbx, %rax
	shrq $21, %rax
	leaq 1(,%rax,4), %rax
	cmpq %rax, 64(%r15)
	jne .LBB146_10
	movq (%rsi), %rcx
.LBB146_6:
	movl $511, %eax
.LBB146_7:
	movq %rbx, %rdx
	shrq $12, %rdx
	andq %rax, %rdx
	movq $0, (%rcx,%rdx,8)
	movb $1, 120(%r14)
	movq %rbx, %rax
	orq $4095, %rax
	cmpq $1, (%r14)
	jne .LBB146_9
	movq 8(%r14), %rcx
	movq 16(%r14), %rdx
	cmpq %rcx, %rbx
	cmovaeq %rcx, %rbx
	cmpq %rdx, %rax
	cmovbeq %rdx, %rax
.LBB146_9:
	movq $1, (%r14)
	movq %rbx, 8(%r14)
	movq %rax, 16(%r14)
	movb $1, %al
	jmp .LBB146_3
.LBB146_10:
	movq %rbx, %rcx
	shrq $30, %rcx
	cmpq %rcx, 80(%r15)
	jne .LBB146_13
	movq 56(%r15), %rcx
	movl %ebx, %edx
	shrl $18, %edx
	andl $4088, %edx
	movq (%rcx,%rdx), %rdx
	movl %edx, %ecx
	notl %ecx
	testb $3, %cl
	jne .LBB146_13
	movabsq $281474976706560, %rcx
	andq %rcx, %rdx
	movq 88(%r15), %rsi
	movq %rdx, %rcx
	subq 3080(%rsi), %rcx
	movq 3072(%rsi), %rsi
	addq %rsi, %rcx
	cmoveq %rsi, %rcx
	movq %rax, 64(%r15)
	movq %rcx, 48(%r15)
	movq %rdx, 72(%r15)
	jmp .LBB146_6
.LBB146_13:
	leaq 96(%r15), %rdx
	leaq 88(%r15), %rcx
	movq %rsp, %rdi
	movq %rbx, %r8
	callq *_ZN9iopgtable5table6recent6Recent4walk
	movq (%rsp), %rcx
	testq %rcx, %rcx
	je .LBB146_2
	cmpq $0, 104(%r15)
	jne .LBB146_2
	movq 8(%rsp), %rax
	jmp .LBB146_7

golden_map_call:
	pushq %r15
	pushq %r14
	pushq %r13
	pushq %r12
	pushq %rbx
	subq $176, %rsp
	movq %r8, %r12
	movq %rcx, %r13
	movq %rdx, %r14
	movq %rsi, %r15
	movq %rdi, %rbx
	movl $3, %r9d
	callq *_ZN9iopgtable5table5short58_$LT$impl$u20$iopgtable..table..PageTable$LT$F$C$A$GT$$GT$8map_near
	testb %al, %al
	jne .LBB152_2
	movq %rbx, %rdi
	movq %r15, %rsi
	movq %r14, %rdx
	movq %r13, %rcx
	movq %r12, %r8
	movl $3, %r9d
	callq *_ZN9iopgtable5table5short58_$LT$impl$u20$iopgtable..table..PageTable$LT$F$C$A$GT$$GT$7map_one
	testb %al, %al
	je .LBB152_6
.LBB152_2:
	movq 96(%rbx), %rax
	xorps %xmm0, %xmm0
	movups %xmm0, 144(%rsp)
	movq $0, 160(%rsp)
	movq %rax, 168(%rsp)
.LBB152_3:
	movups 144(%rsp), %xmm0
	movq 160(%rsp), %rax
	movq 168(%rsp), %rcx
	movaps %xmm0, 16(%rsp)
	cmpq $0, 160(%rsp)
	movq %rax, 32(%rsp)
	movq %rcx, 40(%rsp)
	je .LBB152_5
	leaq 16(%rsp), %rsi
	movq %rbx, %rdi
	callq *_ZN9iopgtable5table7release58_$LT$impl$u20$iopgtable..table..PageTable$LT$F$C$A$GT$$GT$10free_loose
.LBB152_5:
	movb $1, %al
.LBB152_10:
	addq $176, %rsp
	popq %rbx
	popq %r12
	popq %r13
	popq %r14
	popq %r15
	retq
.LBB152_6:
	movl $3, (%rsp)
	leaq 16(%rsp), %rdi
	movq %rbx, %rsi
	movq %r15, %rdx
	movq %r14, %rcx
	movq %r13, %r8
	movq %r12, %r9
	callq *_ZN9iopgtable5table4path58_$LT$impl$u20$iopgtable..table..PageTable$LT$F$C$A$GT$$GT$9map_apart
	cmpb $17, 16(%rsp)
	jne .LBB152_9
	testb $1, 17(%rsp)
	jne .LBB152_2
	movq $1, 16(%rsp)
	movq %r13, 24(%rsp)
	movq %r12, 32(%rsp)
	leaq 64(%rsp), %rdi
	leaq 16(%rsp), %r8
	movq %rbx, %rsi
	movq %r15, %rdx
	movq %r14, %rcx
	movl $3, %r9d
	callq *_ZN9iopgtable5table22PageTable$LT$F$C$A$GT$7map_any
	cmpq $2, 64(%rsp)
	jne .LBB152_3
.LBB152_9:
	xorl %eax, %eax
	jmp .LBB152_10

golden_unmap_call:
	pushq %r15
	pushq %r14
	pushq %rbx
	subq $144, %rsp
	movq %rdx, %r14
	movq %rsi, %r15
	movq %rdi, %rbx
	movq %rsi, %rcx
	movq %rdx, %r8
	callq *_ZN9iopgtable5table5short58_$LT$impl$u20$iopgtable..table..PageTable$LT$F$C$A$GT$$GT$10unmap_near
	testb %al, %al
	jne .LBB154_2
	movq %rbx, %rdi
	movq %r15, %rsi
	movq %r14, %rdx
	movq %r15, %rcx
	movq %r14, %r8
	callq *_ZN9iopgtable5table5short58_$LT$impl$u20$iopgtable..table..PageTable$LT$F$C$A$GT$$GT$11unmap_short
	testb %al, %al
	je .LBB154_6
.LBB154_2:
	movq 96(%rbx), %rax
	xorps %xmm0, %xmm0
	movups %xmm0, 112(%rsp)
	movq $0, 128(%rsp)
	movq %rax, 136(%rsp)
.LBB154_3:
	movups 112(%rsp), %xmm0
	movq 128(%rsp), %rax
	movq 136(%rsp), %rcx
	movaps %xmm0, (%rsp)
	cmpq $0, 128(%rsp)
	movq %rax, 16(%rsp)
	movq %rcx, 24(%rsp)
	je .LBB154_5
	movq %rsp, %rsi
	movq %rbx, %rdi
	callq *_ZN9iopgtable5table7release58_$LT$impl$u20$iopgtable..table..PageTable$LT$F$C$A$GT$$GT$10free_loose
.LBB154_5:
	movb $1, %al
.LBB154_8:
	addq $144, %rsp
	popq %rbx
	popq %r14
	popq %r15
	retq
.LBB154_6:
	leaq 32(%rsp), %rdi
	movq %rbx, %rsi
	movq %r15, %rdx
	movq %r14, %rcx
	movq %r15, %r8
	movq %r14, %r9
	callq *_ZN9iopgtable5table22PageTable$LT$F$C$A$GT$9unmap_any
	cmpl $2, 32(%rsp)
	jne .LBB154_3
	xorl %eax, %eax
	jmp .LBB154_8

8map_near:
	subq %rsi, %rdx
	xorl %eax, %eax
	cmpq $4095, %rdx
	jne .LBB95_15
	movq %rcx, %r10
	orl %esi, %ecx
	andl $4095, %ecx
	orq %r8, %rcx
	cmpq $4096, %rcx
	jne .LBB95_15
	xorl %eax, %eax
	xorl %ecx, %ecx
	subb 178(%rdi), %cl
	movq $-1, %rdx
	shrq %cl, %rdx
	cmpq %rdx, %r10
	ja .LBB95_15
	cmpb 40(%rdi), %r9b
	jne .LBB95_15
	testb %r9b, %r9b
	je .LBB95_9
	movq 24(%rdi), %rax
	movq %rsi, %rcx
	shrq $21, %rcx
	leaq 1(,%rcx,4), %rcx
	cmpq %rcx, 64(%rdi)
	jne .LBB95_10
	movq 48(%rdi), %rdx
.LBB95_7:
	shrl $12, %esi
	andl $511, %esi
	movq (%rdx,%rsi,8), %rcx
	testq %rcx, %rcx
	jne .LBB95_9
	orq %r10, %rax
	movq %rax, (%rdx,%rsi,8)
	movb $1, %al
.LBB95_15:
	retq
.LBB95_10:
	movq %rsi, %rdx
	shrq $30, %rdx
	cmpq %rdx, 80(%rdi)
	jne .LBB95_9
	movq 56(%rdi), %rdx
	movl %esi, %r8d
	shrl $18, %r8d
	andl $4088, %r8d
	movq (%rdx,%r8), %r8
	movl %r8d, %edx
	notl %edx
	testb $3, %dl
	jne .LBB95_9
	movabsq $281474976706560, %rdx
	andq %rdx, %r8
	movq 88(%rdi), %r9
	movq %r8, %rdx
	subq 3080(%r9), %rdx
	movq 3072(%r9), %r9
	addq %r9, %rdx
	cmoveq %r9, %rdx
	movq %rcx, 64(%rdi)
	movq %rdx, 48(%rdi)
	movq %r8, 72(%rdi)
	jmp .LBB95_7
.LBB95_9:
	xorl %eax, %eax
	retq

10unmap_near:
	xorq %rsi, %rcx
	xorq %rdx, %r8
	orq %rcx, %r8
	jne .LBB92_5
	movq %rdx, %rcx
	subq %rsi, %rcx
	xorl %eax, %eax
	cmpq $4095, %rcx
	ja .LBB92_9
	cmpq $0, 104(%rdi)
	jne .LBB92_9
	incl %edx
	movl %esi, %eax
	orl %edx, %eax
	testl $4095, %eax
	je .LBB92_6
.LBB92_5:
	xorl %eax, %eax
	retq
.LBB92_6:
	movq %rsi, %rax
	shrq $21, %rax
	leaq 1(,%rax,4), %rax
	cmpq %rax, 64(%rdi)
	jne .LBB92_10
	movq 48(%rdi), %rdx
.LBB92_8:
	shrl $9, %esi
	andl $4088, %esi
	movq $0, (%rdx,%rsi)
	movb $1, %al
.LBB92_9:
	retq
.LBB92_10:
	movq %rsi, %rcx
	shrq $30, %rcx
	cmpq %rcx, 80(%rdi)
	jne .LBB92_5
	movq 56(%rdi), %rcx
	movl %esi, %edx
	shrl $18, %edx
	andl $4088, %edx
	movq (%rcx,%rdx), %rcx
	movl %ecx, %edx
	notl %edx
	testb $3, %dl
	jne .LBB92_5
	movabsq $281474976706560, %rdx
	andq %rdx, %rcx
	movq 88(%rdi), %r8
	movq %rcx, %rdx
	subq 3080(%r8), %rdx
	movq 3072(%r8), %r8
	addq %r8, %rdx
	cmoveq %r8, %rdx
	movq %rax, 64(%rdi)
	movq %rdx, 48(%rdi)
	movq %rcx, 72(%rdi)
	jmp .LBB92_8
