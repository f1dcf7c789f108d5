# rustc 1.95.0 (59807616e 2026-04-14)
# golden_fill_fresh: 14 instructions / 8
# golden_fill_live: 19 instructions / 8
# golden_list_fresh: 14 instructions / 4
# golden_list_live: 19 instructions / 16
# golden_clear: 11 instructions / 8
# golden_is_zero: 7 instructions / 4
# golden_translate: 46 instructions / 1
# golden_cursor_map: 64 instructions / 1
# golden_cursor_unmap: 68 instructions / 1
# golden_map_call: 92 instructions / 1
# golden_unmap_call: 80 instructions / 1

golden_fill_fresh:
	orq (%rsi), %rdx
	movq %rdx, %xmm0
	pshufd $68, %xmm0, %xmm0
	paddq .LCPI149_0(%rip), %xmm0
	xorl %eax, %eax
	movdqa .LCPI149_1(%rip), %xmm1
	movdqa .LCPI149_2(%rip), %xmm2
	movdqa .LCPI149_3(%rip), %xmm3
	movdqa .LCPI149_4(%rip), %xmm4
.LBB149_1:
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
	jne .LBB149_1
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
	je .LBB152_9
	movq (%rsi), %rsi
	cmpq $5, %rcx
	jae .LBB152_3
	xorl %r8d, %r8d
	jmp .LBB152_5
.LBB152_3:
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
.LBB152_4:
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
	jne .LBB152_4
.LBB152_5:
	movq %r8, %r9
	shlq $4, %r9
	addq %r9, %rdx
.LBB152_6:
	movq (%rdx), %r9
	orq %rsi, %r9
	movq %r9, (%rdi,%r8,8)
	incq %r8
	addq $16, %rdx
	cmpq %r8, %rax
	jne .LBB152_6
	cmpq $511, %rcx
	jbe .LBB152_9
	retq
.LBB152_9:
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
	je .LBB153_8
	movq (%rsi), %rsi
	movl %r8d, %r9d
	andl $3, %r9d
	cmpq $4, %rcx
	jae .LBB153_3
	xorl %ecx, %ecx
	jmp .LBB153_6
.LBB153_3:
	movl %r8d, %r10d
	andl $1020, %r10d
	leaq 48(%rdx), %r11
	xorl %ecx, %ecx
.LBB153_4:
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
	jne .LBB153_4
	testq %r9, %r9
	je .LBB153_8
.LBB153_6:
	leaq (%rdi,%rcx,8), %r10
	shlq $4, %rcx
	addq %rcx, %rdx
	shll $3, %r9d
	xorl %ecx, %ecx
.LBB153_7:
	movq (%rdx,%rcx,2), %r11
	orq %rsi, %r11
	movq %r11, (%r10,%rcx)
	addq $8, %rcx
	cmpq %rcx, %r9
	jne .LBB153_7
.LBB153_8:
	subq %r8, %rax
	leaq (%rdi,%r8,8), %rcx
	movl %eax, %edx
	andl $7, %edx
	andq $1016, %rax
	je .LBB153_14
	movl $504, %r9d
	subq %r8, %r9
	movq %rcx, %rsi
	movq %rax, %rdi
	testb $8, %r9b
	jne .LBB153_11
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
.LBB153_11:
	cmpq $8, %r9
	jb .LBB153_14
	xorl %r8d, %r8d
.LBB153_13:
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
	jne .LBB153_13
.LBB153_14:
	testq %rdx, %rdx
	je .LBB153_22
	movq $0, (%rcx,%rax,8)
	cmpl $1, %edx
	je .LBB153_22
	movq $0, 8(%rcx,%rax,8)
	cmpl $2, %edx
	je .LBB153_22
	movq $0, 16(%rcx,%rax,8)
	cmpl $3, %edx
	je .LBB153_22
	movq $0, 24(%rcx,%rax,8)
	cmpl $4, %edx
	je .LBB153_22
	movq $0, 32(%rcx,%rax,8)
	cmpl $5, %edx
	je .LBB153_22
	movq $0, 40(%rcx,%rax,8)
	cmpl $6, %edx
	je .LBB153_22
	movq $0, 48(%rcx,%rax,8)
.LBB153_22:
	popq %rbx
	retq

golden_clear:
	andl $511, %esi
	movl $512, %ecx
	subq %rsi, %rcx
	cmpq %rdx, %rcx
	cmovaeq %rdx, %rcx
	testq %rdx, %rdx
	je .LBB146_7
	movl %esi, %eax
	leaq (%rdi,%rax,8), %rax
	shll $3, %ecx
	leaq -8(%rcx), %rsi
	movl %esi, %edi
	notl %edi
	movq %rax, %rdx
	testb $56, %dil
	je .LBB146_4
	movl %esi, %edi
	shrl $3, %edi
	incl %edi
	andl $7, %edi
	movq %rax, %rdx
.LBB146_3:
	movq $0, (%rdx)
	addq $8, %rdx
	decq %rdi
	jne .LBB146_3
.LBB146_4:
	cmpq $56, %rsi
	jb .LBB146_7
	addq %rcx, %rax
.LBB146_6:
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
	jne .LBB146_6
.LBB146_7:
	retq

golden_is_zero:
	andl $511, %esi
	cmpq $1, %rdx
	jne .LBB151_2
	movq (%rdi,%rsi,8), %rdx
.LBB151_11:
	testq %rdx, %rdx
	sete %al
	retq
.LBB151_2:
	movl $512, %eax
	subq %rsi, %rax
	cmpq %rdx, %rax
	cmovaeq %rdx, %rax
	testq %rdx, %rdx
	je .LBB151_3
	cmpq $4, %rax
	jae .LBB151_6
	xorl %edx, %edx
	movq %rsi, %rcx
	jmp .LBB151_9
.LBB151_3:
	xorl %edx, %edx
	testq %rdx, %rdx
	sete %al
	retq
.LBB151_6:
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
.LBB151_7:
	movdqu -16(%r9,%r10), %xmm2
	por %xmm2, %xmm1
	movdqu (%r9,%r10), %xmm2
	por %xmm2, %xmm0
	addq $32, %r10
	cmpq %r10, %rdx
	jne .LBB151_7
	por %xmm1, %xmm0
	pshufd $238, %xmm0, %xmm1
	por %xmm0, %xmm1
	movq %xmm1, %rdx
	cmpq %r8, %rax
	je .LBB151_11
.LBB151_9:
	addq %rsi, %rax
.LBB151_10:
	orq (%rdi,%rcx,8), %rdx
	incq %rcx
	cmpq %rcx, %rax
	jne .LBB151_10
	jmp .LBB151_11

golden_translate:
	pushq %rbx
	subq $96, %rsp
	movq %rsi, 16(%rsp)
	movq 144(%rdi), %rax
	xorq %rsi, %rax
	cmpq 152(%rdi), %rax
	ja .LBB155_3
	movq %rsi, %rbx
	leaq 88(%rdi), %rax
	leaq 80(%rdi), %rcx
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
	je .LBB155_3
	testb $1, %al
	je .LBB155_3
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
.LBB155_3:
	xorl %eax, %eax
	addq $96, %rsp
	popq %rbx
	retq

golden_cursor_map:
	movq %rdx, %rcx
	movq %rsi, %rdx
	movq %rdi, %rsi
	movq 104(%rdi), %rdi
	testq %rcx, 120(%rdi)
	jne .LBB147_8
	cmpb $3, 32(%rdi)
	jne .LBB147_8
	movq %rdx, %rax
	shlq $52, %rax
	je .LBB147_3
.LBB147_8:
	subq $56, %rsp
	leaq 8(%rsp), %rdi
	movl $3, %r8d
	callq *_ZN9iopgtable5table6cursor19Cursor$LT$F$C$A$GT$13map_elsewhere
	cmpb $17, 8(%rsp)
	sete %al
	addq $56, %rsp
	retq
.LBB147_3:
	movq 16(%rdi), %rax
	movq 56(%rdi), %r8
	xorq %rdx, %r8
	testq $-2093057, %r8
	je .LBB147_11
	movq 72(%rdi), %r8
	xorq %rdx, %r8
	andq $-1073737729, %r8
	cmpq $1, %r8
	jne .LBB147_8
	movq 48(%rdi), %r8
	movl %edx, %r9d
	shrl $18, %r9d
	andl $4088, %r9d
	movq (%r8,%r9), %r9
	movl %r9d, %r8d
	notl %r8d
	testb $3, %r8b
	jne .LBB147_8
	movabsq $281474976706560, %r8
	andq %r8, %r9
	movq 80(%rdi), %r10
	movq 3072(%r10), %r11
	movq %r9, %r8
	subq 3080(%r10), %r8
	addq %r11, %r8
	cmoveq %r11, %r8
	movq %rdx, %r10
	andq $-2097152, %r10
	movq %r10, 56(%rdi)
	movq %r8, 40(%rdi)
	movq %r9, 64(%rdi)
	jmp .LBB147_7
.LBB147_11:
	movq 40(%rdi), %r8
.LBB147_7:
	movl %edx, %edi
	shrl $12, %edi
	andl $511, %edi
	movq (%r8,%rdi,8), %r9
	testq %r9, %r9
	jne .LBB147_8
	orq %rcx, %rax
	movq %rax, (%r8,%rdi,8)
	movb $1, 112(%rsi)
	movb $1, %al
	retq

golden_cursor_unmap:
	movq %rsi, %rdx
	movq %rdi, %rsi
	movq 104(%rdi), %rax
	cmpq $0, 96(%rax)
	jne .LBB148_6
	movq %rdx, %rcx
	shlq $52, %rcx
	je .LBB148_2
.LBB148_6:
	subq $56, %rsp
	leaq 8(%rsp), %rdi
	callq *_ZN9iopgtable5table6cursor19Cursor$LT$F$C$A$GT$20unmap_page_elsewhere
	cmpb $17, 8(%rsp)
	sete %al
	addq $56, %rsp
	retq
.LBB148_2:
	movq 56(%rax), %rcx
	xorq %rdx, %rcx
	testq $-2093057, %rcx
	je .LBB148_7
	movq 72(%rax), %rcx
	xorq %rdx, %rcx
	andq $-1073737729, %rcx
	cmpq $1, %rcx
	jne .LBB148_6
	movq 48(%rax), %rcx
	movl %edx, %edi
	shrl $18, %edi
	andl $4088, %edi
	movq (%rcx,%rdi), %rcx
	movl %ecx, %edi
	notl %edi
	testb $3, %dil
	jne .LBB148_6
	movabsq $281474976706560, %rdi
	andq %rdi, %rcx
	movq 80(%rax), %r8
	movq 3072(%r8), %r9
	movq %rcx, %rdi
	subq 3080(%r8), %rdi
	addq %r9, %rdi
	cmoveq %r9, %rdi
	movq %rdx, %r8
	andq $-2097152, %r8
	movq %r8, 56(%rax)
	movq %rdi, 40(%rax)
	movq %rcx, 64(%rax)
	jmp .LBB148_8
.LBB148_7:
	movq 40(%rax), %rdi
.LBB148_8:
	movl %edx, %eax
	shrl $9, %eax
	andl $4088, %eax
	movq $0, (%rdi,%rax)
	movb $1, 112(%rsi)
	movq %rdx, %rax
	orq $4095, %rax
	cmpq $1, (%rsi)
	jne .LBB148_10
	movq 8(%rsi), %rcx
	movq 16(%rsi), %rdi
	cmpq %rcx, %rdx
	cmovaeq %rcx, %rdx
	cmpq %rdi, %rax
	cmovbeq %rdi, %rax
.LBB148_10:
	movq $1, (%rsi)
	movq %rdx, 8(%rsi)
	movq %rax, 16(%rsi)
	movb $1, %al
	retq

golden_map_call:
	pushq %rbx
	subq $112, %rsp
	movq %r8, %r9
	movq %rcx, %r8
	movq %rdx, %rcx
	movq %rsi, %rdx
	movq %rdi, %rbx
	movq %rcx, %rax
	subq %rsi, %rax
	xorq $4095, %rax
	movq %r9, %rsi
	xorq $4096, %rsi
	orq %rax, %rsi
	jne .LBB154_4
	testq %r8, 120(%rbx)
	jne .LBB154_4
	cmpb $3, 32(%rbx)
	jne .LBB154_4
	movq %rdx, %rax
	shlq $52, %rax
	je .LBB154_10
.LBB154_4:
	movl $3, (%rsp)
	leaq 8(%rsp), %rdi
	movq %rbx, %rsi
	callq *_ZN9iopgtable5table22PageTable$LT$F$C$A$GT$11map_segment
	movq 8(%rsp), %rcx
	cmpq $3, %rcx
	jne .LBB154_7
	xorl %eax, %eax
.LBB154_6:
	addq $112, %rsp
	popq %rbx
	retq
.LBB154_7:
	movb $1, %al
	cmpl $2, %ecx
	je .LBB154_6
	movq 96(%rsp), %rdx
	testq %rdx, %rdx
	je .LBB154_6
	movq 88(%rsp), %rsi
	movq 104(%rsp), %rcx
	movq %rbx, %rdi
	callq *_ZN9iopgtable5table7release58_$LT$impl$u20$iopgtable..table..PageTable$LT$F$C$A$GT$$GT$10free_loose
	movb $1, %al
	addq $112, %rsp
	popq %rbx
	retq
.LBB154_10:
	movq 16(%rbx), %rax
	movq 56(%rbx), %rsi
	xorq %rdx, %rsi
	testq $-2093057, %rsi
	je .LBB154_14
	movq 72(%rbx), %rsi
	xorq %rdx, %rsi
	andq $-1073737729, %rsi
	cmpq $1, %rsi
	jne .LBB154_4
	movq 48(%rbx), %rsi
	movl %edx, %edi
	shrl $18, %edi
	andl $4088, %edi
	movq (%rsi,%rdi), %rdi
	movl %edi, %esi
	notl %esi
	testb $3, %sil
	jne .LBB154_4
	movabsq $281474976706560, %rsi
	andq %rsi, %rdi
	movq 80(%rbx), %r10
	movq 3072(%r10), %r11
	movq %rdi, %rsi
	subq 3080(%r10), %rsi
	addq %r11, %rsi
	cmoveq %r11, %rsi
	movq %rdx, %r10
	andq $-2097152, %r10
	movq %r10, 56(%rbx)
	movq %rsi, 40(%rbx)
	movq %rdi, 64(%rbx)
	jmp .LBB154_15
.LBB154_14:
	movq 40(%rbx), %rsi
.LBB154_15:
	movl %edx, %edi
	shrl $12, %edi
	andl $511, %edi
	movq (%rsi,%rdi,8), %r10
	testq %r10, %r10
	jne .LBB154_4
	orq %r8, %rax
	movq %rax, (%rsi,%rdi,8)
	movb $1, %al
	addq $112, %rsp
	popq %rbx
	retq

golden_unmap_call:
	pushq %rbx
	subq $112, %rsp
	movq %rdx, %rcx
	movq %rsi, %rdx
	movq %rdi, %rbx
	movq %rcx, %rax
	subq %rsi, %rax
	cmpq $4095, %rax
	jne .LBB156_3
	cmpq $0, 96(%rbx)
	jne .LBB156_3
	movq %rdx, %rax
	shlq $52, %rax
	je .LBB156_9
.LBB156_3:
	leaq 8(%rsp), %rdi
	movq %rbx, %rsi
	movq %rdx, %r8
	movq %rcx, %r9
	callq *_ZN9iopgtable5table22PageTable$LT$F$C$A$GT$9unmap_any
	movq 8(%rsp), %rcx
	cmpq $3, %rcx
	jne .LBB156_6
	xorl %eax, %eax
.LBB156_5:
	addq $112, %rsp
	popq %rbx
	retq
.LBB156_6:
	movb $1, %al
	cmpl $2, %ecx
	je .LBB156_5
	movq 96(%rsp), %rdx
	testq %rdx, %rdx
	je .LBB156_5
	movq 88(%rsp), %rsi
	movq 104(%rsp), %rcx
	movq %rbx, %rdi
	callq *_ZN9iopgtable5table7release58_$LT$impl$u20$iopgtable..table..PageTable$LT$F$C$A$GT$$GT$10free_loose
	movb $1, %al
	addq $112, %rsp
	popq %rbx
	retq
.LBB156_9:
	movq 56(%rbx), %rax
	xorq %rdx, %rax
	testq $-2093057, %rax
	je .LBB156_13
	movq 72(%rbx), %rax
	xorq %rdx, %rax
	andq $-1073737729, %rax
	cmpq $1, %rax
	jne .LBB156_3
	movq 48(%rbx), %rax
	movl %edx, %esi
	shrl $18, %esi
	andl $4088, %esi
	movq (%rax,%rsi), %rax
	movl %eax, %esi
	notl %esi
	testb $3, %sil
	jne .LBB156_3
	movabsq $281474976706560, %rcx
	andq %rcx, %rax
	movq 80(%rbx), %rsi
	movq 3072(%rsi), %rdi
	movq %rax, %rcx
	subq 3080(%rsi), %rcx
	addq %rdi, %rcx
	cmoveq %rdi, %rcx
	movq %rdx, %rsi
	andq $-2097152, %rsi
	movq %rsi, 56(%rbx)
	movq %rcx, 40(%rbx)
	movq %rax, 64(%rbx)
	jmp .LBB156_14
.LBB156_13:
	movq 40(%rbx), %rcx
.LBB156_14:
	shrl $9, %edx
	andl $4088, %edx
	movq $0, (%rcx,%rdx)
	movb $1, %al
	addq $112, %rsp
	popq %rbx
	retq
