# rustc 1.95.0 (59807616e 2026-04-14)
# golden_fill_fresh: 14 instructions / 8
# golden_fill_live: 19 instructions / 8
# golden_list_fresh: 5 instructions / 4
# golden_list_live: 19 instructions / 16
# golden_clear: 11 instructions / 8
# golden_is_zero: 7 instructions / 4
# golden_translate: 66 instructions / 1
# golden_cursor_map: 66 instructions / 1
# golden_cursor_unmap: 72 instructions / 1
# golden_map_call: 93 instructions / 1
# golden_unmap_call: 82 instructions / 1

golden_fill_fresh:
	orq (%rsi), %rdx
	movq %rdx, %xmm0
	pshufd $68, %xmm0, %xmm0
	paddq .LCPI150_0(%rip), %xmm0
	xorl %eax, %eax
	movdqa .LCPI150_1(%rip), %xmm1
	movdqa .LCPI150_2(%rip), %xmm2
	movdqa .LCPI150_3(%rip), %xmm3
	movdqa .LCPI150_4(%rip), %xmm4
.LBB150_1:
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
	jne .LBB150_1
	retq

golden_fill_live:
	subq $40, %rsp
	movq %rdx, %r9
	movq %rdi, %rax
	movzbl 24(%rsi), %ecx
	movups (%rsi), %xmm0
	movaps %xmm0, (%rsp)
	movq $0, 16(%rsp)
	movb %cl, 24(%rsp)
	movq %rsp, %rdi
	movl $512, %edx
	movq %rax, %rsi
	xorl %ecx, %ecx
	movl $3, %r8d
	callq _ZN9iopgtable5table4fill15Leaves$LT$F$GT$4ramp
	addq $40, %rsp
	retq

golden_list_fresh:
	movq (%rsi), %r8
	testb $1, 24(%rsi)
	je .LBB153_1
	cmpq $512, %rcx
	movl $512, %eax
	cmovbq %rcx, %rax
	testq %rcx, %rcx
	je .LBB153_15
	cmpq $4, %rcx
	jae .LBB153_12
	xorl %ecx, %ecx
	jmp .LBB153_11
.LBB153_1:
	cmpq $512, %rcx
	movl $512, %eax
	cmovbq %rcx, %rax
	testq %rcx, %rcx
	je .LBB153_15
	cmpq $5, %rcx
	jae .LBB153_4
	xorl %ecx, %ecx
	jmp .LBB153_6
.LBB153_12:
	movl %eax, %ecx
	andl $1020, %ecx
	movq %r8, %xmm0
	pshufd $68, %xmm0, %xmm0
	leaq (,%rax,8), %rdx
	andq $-32, %rdx
	xorl %esi, %esi
.LBB153_13:
	movdqu %xmm0, (%rdi,%rsi)
	movdqu %xmm0, 16(%rdi,%rsi)
	addq $32, %rsi
	cmpq %rsi, %rdx
	jne .LBB153_13
	jmp .LBB153_14
.LBB153_4:
	movl %eax, %ecx
	andl $3, %ecx
	movl $4, %esi
	cmovneq %rcx, %rsi
	movq %rax, %rcx
	subq %rsi, %rcx
	movq %r8, %xmm0
	pshufd $68, %xmm0, %xmm0
	leaq 32(%rdx), %rsi
	xorl %r9d, %r9d
.LBB153_5:
	movq -16(%rsi), %xmm1
	movdqu -32(%rsi), %xmm2
	punpcklqdq %xmm1, %xmm2
	movdqu (%rsi), %xmm1
	movq 16(%rsi), %xmm3
	punpcklqdq %xmm3, %xmm1
	por %xmm0, %xmm2
	por %xmm0, %xmm1
	movdqu %xmm2, (%rdi,%r9,8)
	movdqu %xmm1, 16(%rdi,%r9,8)
	addq $4, %r9
	addq $64, %rsi
	cmpq %r9, %rcx
	jne .LBB153_5
.LBB153_6:
	movq %rcx, %rsi
	shlq $4, %rsi
	addq %rsi, %rdx
.LBB153_7:
	movq (%rdx), %rsi
	orq %r8, %rsi
	movq %rsi, (%rdi,%rcx,8)
	incq %rcx
	addq $16, %rdx
	cmpq %rcx, %rax
	jne .LBB153_7
	jmp .LBB153_15
.LBB153_11:
	movq %r8, (%rdi,%rcx,8)
	incq %rcx
.LBB153_14:
	cmpq %rcx, %rax
	jne .LBB153_11
.LBB153_15:
	cmpq $512, %rax
	jne .LBB153_17
	retq
.LBB153_17:
	leaq (,%rax,8), %rcx
	movl $4096, %edx
	subq %rcx, %rdx
	leaq (%rdi,%rax,8), %rdi
	xorl %esi, %esi
	jmpq *memset@GOTPCREL(%rip)

golden_list_live:
	movq (%rsi), %r8
	cmpq $512, %rcx
	movl $512, %eax
	cmovbq %rcx, %rax
	testb $1, 24(%rsi)
	je .LBB154_1
	testq %rcx, %rcx
	je .LBB154_17
	movl %eax, %edx
	andl $7, %edx
	cmpq $8, %rcx
	jae .LBB154_12
	xorl %ecx, %ecx
	jmp .LBB154_15
.LBB154_1:
	testq %rcx, %rcx
	je .LBB154_17
	movl %eax, %esi
	andl $3, %esi
	cmpq $4, %rcx
	jae .LBB154_4
	xorl %ecx, %ecx
	jmp .LBB154_7
.LBB154_12:
	movl %eax, %esi
	andl $1016, %esi
	xorl %ecx, %ecx
.LBB154_13:
	movq %r8, (%rdi,%rcx,8)
	movq %r8, 8(%rdi,%rcx,8)
	movq %r8, 16(%rdi,%rcx,8)
	movq %r8, 24(%rdi,%rcx,8)
	movq %r8, 32(%rdi,%rcx,8)
	movq %r8, 40(%rdi,%rcx,8)
	movq %r8, 48(%rdi,%rcx,8)
	movq %r8, 56(%rdi,%rcx,8)
	addq $8, %rcx
	cmpq %rcx, %rsi
	jne .LBB154_13
	testq %rdx, %rdx
	je .LBB154_17
.LBB154_15:
	leaq (%rdi,%rcx,8), %rcx
	xorl %esi, %esi
.LBB154_16:
	movq %r8, (%rcx,%rsi,8)
	incq %rsi
	cmpq %rsi, %rdx
	jne .LBB154_16
	jmp .LBB154_17
.LBB154_4:
	movl %eax, %r9d
	andl $1020, %r9d
	leaq 48(%rdx), %r10
	xorl %ecx, %ecx
.LBB154_5:
	movq -48(%r10), %r11
	orq %r8, %r11
	movq %r11, (%rdi,%rcx,8)
	movq -32(%r10), %r11
	orq %r8, %r11
	movq %r11, 8(%rdi,%rcx,8)
	movq -16(%r10), %r11
	orq %r8, %r11
	movq %r11, 16(%rdi,%rcx,8)
	movq (%r10), %r11
	orq %r8, %r11
	movq %r11, 24(%rdi,%rcx,8)
	addq $4, %rcx
	addq $64, %r10
	cmpq %rcx, %r9
	jne .LBB154_5
	testq %rsi, %rsi
	je .LBB154_17
.LBB154_7:
	leaq (%rdi,%rcx,8), %r9
	shlq $4, %rcx
	addq %rcx, %rdx
	shll $3, %esi
	xorl %ecx, %ecx
.LBB154_8:
	movq (%rdx,%rcx,2), %r10
	orq %r8, %r10
	movq %r10, (%r9,%rcx)
	addq $8, %rcx
	cmpq %rcx, %rsi
	jne .LBB154_8
.LBB154_17:
	movl $512, %ecx
	subq %rax, %rcx
	leaq (%rdi,%rax,8), %rdx
	movl %ecx, %esi
	andl $7, %esi
	andq $1016, %rcx
	je .LBB154_23
	movl $504, %r8d
	subq %rax, %r8
	movq %rdx, %rax
	movq %rcx, %rdi
	testb $8, %r8b
	jne .LBB154_20
	movq $0, (%rdx)
	movq $0, 8(%rdx)
	movq $0, 16(%rdx)
	movq $0, 24(%rdx)
	movq $0, 32(%rdx)
	movq $0, 40(%rdx)
	movq $0, 48(%rdx)
	movq $0, 56(%rdx)
	leaq 64(%rdx), %rax
	leaq -8(%rcx), %rdi
.LBB154_20:
	cmpq $8, %r8
	jb .LBB154_23
	xorl %r8d, %r8d
.LBB154_22:
	movq $0, (%rax,%r8,8)
	movq $0, 8(%rax,%r8,8)
	movq $0, 16(%rax,%r8,8)
	movq $0, 24(%rax,%r8,8)
	movq $0, 32(%rax,%r8,8)
	movq $0, 40(%rax,%r8,8)
	movq $0, 48(%rax,%r8,8)
	movq $0, 56(%rax,%r8,8)
	movq $0, 64(%rax,%r8,8)
	movq $0, 72(%rax,%r8,8)
	movq $0, 80(%rax,%r8,8)
	movq $0, 88(%rax,%r8,8)
	movq $0, 96(%rax,%r8,8)
	movq $0, 104(%rax,%r8,8)
	movq $0, 112(%rax,%r8,8)
	movq $0, 120(%rax,%r8,8)
	addq $16, %r8
	cmpq %r8, %rdi
	jne .LBB154_22
.LBB154_23:
	testq %rsi, %rsi
	je .LBB154_31
	movq $0, (%rdx,%rcx,8)
	cmpl $1, %esi
	je .LBB154_31
	movq $0, 8(%rdx,%rcx,8)
	cmpl $2, %esi
	je .LBB154_31
	movq $0, 16(%rdx,%rcx,8)
	cmpl $3, %esi
	je .LBB154_31
	movq $0, 24(%rdx,%rcx,8)
	cmpl $4, %esi
	je .LBB154_31
	movq $0, 32(%rdx,%rcx,8)
	cmpl $5, %esi
	je .LBB154_31
	movq $0, 40(%rdx,%rcx,8)
	cmpl $6, %esi
	je .LBB154_31
	movq $0, 48(%rdx,%rcx,8)
.LBB154_31:
	retq

golden_clear:
	andl $511, %esi
	movl $512, %ecx
	subq %rsi, %rcx
	cmpq %rdx, %rcx
	cmovaeq %rdx, %rcx
	testq %rdx, %rdx
	je .LBB147_7
	movl %esi, %eax
	leaq (%rdi,%rax,8), %rax
	shll $3, %ecx
	leaq -8(%rcx), %rsi
	movl %esi, %edi
	notl %edi
	movq %rax, %rdx
	testb $56, %dil
	je .LBB147_4
	movl %esi, %edi
	shrl $3, %edi
	incl %edi
	andl $7, %edi
	movq %rax, %rdx
.LBB147_3:
	movq $0, (%rdx)
	addq $8, %rdx
	decq %rdi
	jne .LBB147_3
.LBB147_4:
	cmpq $56, %rsi
	jb .LBB147_7
	addq %rcx, %rax
.LBB147_6:
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
	jne .LBB147_6
.LBB147_7:
	retq

golden_is_zero:
	andl $511, %esi
	cmpq $1, %rdx
	jne .LBB152_2
	movq (%rdi,%rsi,8), %rdx
.LBB152_11:
	testq %rdx, %rdx
	sete %al
	retq
.LBB152_2:
	movl $512, %eax
	subq %rsi, %rax
	cmpq %rdx, %rax
	cmovaeq %rdx, %rax
	testq %rdx, %rdx
	je .LBB152_3
	cmpq $4, %rax
	jae .LBB152_6
	xorl %edx, %edx
	movq %rsi, %rcx
	jmp .LBB152_9
.LBB152_3:
	xorl %edx, %edx
	testq %rdx, %rdx
	sete %al
	retq
.LBB152_6:
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
.LBB152_7:
	movdqu -16(%r9,%r10), %xmm2
	por %xmm2, %xmm1
	movdqu (%r9,%r10), %xmm2
	por %xmm2, %xmm0
	addq $32, %r10
	cmpq %r10, %rdx
	jne .LBB152_7
	por %xmm1, %xmm0
	pshufd $238, %xmm0, %xmm1
	por %xmm0, %xmm1
	movq %xmm1, %rdx
	cmpq %r8, %rax
	je .LBB152_11
.LBB152_9:
	addq %rsi, %rax
.LBB152_10:
	orq (%rdi,%rcx,8), %rdx
	incq %rcx
	cmpq %rcx, %rax
	jne .LBB152_10
	jmp .LBB152_11

golden_translate:
	pushq %rbx
	movq %rsi, %rbx
	movq %rsi, %rax
	andq $-1073741824, %rax
	incq %rax
	cmpq 72(%rdi), %rax
	jne .LBB156_7
	movq 48(%rdi), %rax
	movq 80(%rdi), %rcx
	movl %ebx, %edx
	shrl $18, %edx
	andl $4088, %edx
	movq (%rax,%rdx), %rax
	movl %eax, %esi
	notl %esi
	movb $2, %dl
	testb $3, %sil
	jne .LBB156_3
	movabsq $281474976706560, %rdx
	andq %rdx, %rax
	movq 3072(%rcx), %rdx
	subq 3080(%rcx), %rax
	addq %rdx, %rax
	cmoveq %rdx, %rax
	movl %ebx, %ecx
	shrl $9, %ecx
	andl $4088, %ecx
	movq (%rax,%rcx), %rax
	movb $3, %dl
.LBB156_3:
	movl %eax, %ecx
	andl $3, %ecx
	cmpq $1, %rcx
	je .LBB156_8
.LBB156_4:
	cmpl $3, %ecx
	jne .LBB156_10
	cmpb $3, %dl
	jge .LBB156_9
.LBB156_10:
	xorl %ebx, %ebx
	movq %rbx, %rax
	popq %rbx
	retq
.LBB156_7:
	leaq 80(%rdi), %rsi
	addq $88, %rdi
	movq %rbx, %rdx
	callq *_ZN9iopgtable5table5visit4walk
	movl %eax, %ecx
	andl $3, %ecx
	cmpq $1, %rcx
	jne .LBB156_4
.LBB156_8:
	cmpb $2, %dl
	jg .LBB156_10
.LBB156_9:
	movabsq $281474976706560, %rsi
	movb $3, %cl
	subb %dl, %cl
	movzbl %cl, %ecx
	leal (%rcx,%rcx,8), %ecx
	addb $12, %cl
	movq $-1, %rdx
	shlq %cl, %rdx
	andq %rsi, %rax
	notq %rdx
	andq %rdx, %rbx
	orq %rax, %rbx
	movq %rbx, %rax
	popq %rbx
	retq

golden_cursor_map:
	movq %rdx, %rcx
	movq %rsi, %rdx
	movq %rdi, %rsi
	movq 104(%rdi), %rdi
	cmpb $3, 32(%rdi)
	jne .LBB148_8
	testq %rcx, 120(%rdi)
	je .LBB148_2
.LBB148_8:
	subq $56, %rsp
	leaq 8(%rsp), %rdi
	movl $3, %r8d
	callq *_ZN9iopgtable5table6cursor19Cursor$LT$F$C$A$GT$13map_elsewhere
	cmpb $17, 8(%rsp)
	sete %al
	addq $56, %rsp
	retq
.LBB148_2:
	movq 16(%rdi), %rax
	movl %edx, %r8d
	andl $4095, %r8d
	movq 56(%rdi), %r9
	xorq %rdx, %r9
	andq $-2093057, %r9
	orq %r8, %r9
	je .LBB148_11
	testq %r8, %r8
	jne .LBB148_8
	movq %rdx, %r8
	andq $-1073741824, %r8
	incq %r8
	cmpq 72(%rdi), %r8
	jne .LBB148_8
	movq 48(%rdi), %r8
	movl %edx, %r9d
	shrl $18, %r9d
	andl $4088, %r9d
	movq (%r8,%r9), %r9
	movl %r9d, %r8d
	notl %r8d
	testb $3, %r8b
	jne .LBB148_8
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
	jmp .LBB148_7
.LBB148_11:
	movq 40(%rdi), %r8
.LBB148_7:
	movl %edx, %edi
	shrl $12, %edi
	andl $511, %edi
	movq (%r8,%rdi,8), %r9
	testq %r9, %r9
	jne .LBB148_8
	orq %rcx, %rax
	movq %rax, (%r8,%rdi,8)
	movb $1, 128(%rsi)
	movb $1, %al
	retq

golden_cursor_unmap:
	movq %rsi, %rdx
	movq %rdi, %rsi
	movq 104(%rdi), %rax
	cmpq $0, 96(%rax)
	je .LBB149_1
.LBB149_6:
	subq $56, %rsp
	leaq 8(%rsp), %rdi
	callq *_ZN9iopgtable5table6cursor19Cursor$LT$F$C$A$GT$20unmap_page_elsewhere
	cmpb $17, 8(%rsp)
	sete %al
	addq $56, %rsp
	retq
.LBB149_1:
	movl %edx, %ecx
	andl $4095, %ecx
	movq 56(%rax), %rdi
	xorq %rdx, %rdi
	andq $-2093057, %rdi
	orq %rcx, %rdi
	je .LBB149_7
	testq %rcx, %rcx
	jne .LBB149_6
	movq %rdx, %rcx
	andq $-1073741824, %rcx
	incq %rcx
	cmpq 72(%rax), %rcx
	jne .LBB149_6
	movq 48(%rax), %rcx
	movl %edx, %edi
	shrl $18, %edi
	andl $4088, %edi
	movq (%rcx,%rdi), %rdi
	movl %edi, %ecx
	notl %ecx
	testb $3, %cl
	jne .LBB149_6
	movabsq $281474976706560, %rcx
	andq %rcx, %rdi
	movq 80(%rax), %r8
	movq 3072(%r8), %r9
	movq %rdi, %rcx
	subq 3080(%r8), %rcx
	addq %r9, %rcx
	cmoveq %r9, %rcx
	movq %rdx, %r8
	andq $-2097152, %r8
	movq %r8, 56(%rax)
	movq %rcx, 40(%rax)
	movq %rdi, 64(%rax)
	jmp .LBB149_8
.LBB149_7:
	movq 40(%rax), %rcx
.LBB149_8:
	movl %edx, %r8d
	shrl $9, %r8d
	andl $4088, %r8d
	movq %rdx, %rdi
	subq $-4095, %rdi
	movq %rdx, %rax
	cmovaeq %rdi, %rax
	cmovaeq %rdx, %rdi
	movq $0, (%rcx,%r8)
	movq 120(%rsi), %rcx
	cmpq 112(%rsi), %rax
	jae .LBB149_9
	cmpq %rdi, %rcx
	cmovaq %rcx, %rdi
	movq %rax, 112(%rsi)
	jmp .LBB149_11
.LBB149_9:
	movb $1, %al
	cmpq %rcx, %rdi
	jbe .LBB149_12
.LBB149_11:
	movq %rdi, 120(%rsi)
	movb $1, %al
.LBB149_12:
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
	cmpq $4095, %rax
	jne .LBB155_4
	cmpq $4096, %r9
	jne .LBB155_4
	cmpb $3, 32(%rbx)
	jne .LBB155_4
	testq %r8, 120(%rbx)
	je .LBB155_10
.LBB155_4:
	movl $3, (%rsp)
	leaq 8(%rsp), %rdi
	movq %rbx, %rsi
	callq *_ZN9iopgtable5table22PageTable$LT$F$C$A$GT$11map_segment
	movq 8(%rsp), %rcx
	cmpq $3, %rcx
	jne .LBB155_7
	xorl %eax, %eax
.LBB155_6:
	addq $112, %rsp
	popq %rbx
	retq
.LBB155_7:
	movb $1, %al
	cmpl $2, %ecx
	je .LBB155_6
	movq 96(%rsp), %rdx
	testq %rdx, %rdx
	je .LBB155_6
	movq 88(%rsp), %rsi
	movq 104(%rsp), %rcx
	movq %rbx, %rdi
	callq *_ZN9iopgtable5table7release58_$LT$impl$u20$iopgtable..table..PageTable$LT$F$C$A$GT$$GT$10free_loose
	movb $1, %al
	addq $112, %rsp
	popq %rbx
	retq
.LBB155_10:
	movq 16(%rbx), %rax
	movl %edx, %esi
	andl $4095, %esi
	movq 56(%rbx), %rdi
	xorq %rdx, %rdi
	andq $-2093057, %rdi
	orq %rsi, %rdi
	je .LBB155_15
	testq %rsi, %rsi
	jne .LBB155_4
	movq %rdx, %rsi
	andq $-1073741824, %rsi
	incq %rsi
	cmpq 72(%rbx), %rsi
	jne .LBB155_4
	movq 48(%rbx), %rsi
	movl %edx, %edi
	shrl $18, %edi
	andl $4088, %edi
	movq (%rsi,%rdi), %rdi
	movl %edi, %esi
	notl %esi
	testb $3, %sil
	jne .LBB155_4
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
	jmp .LBB155_16
.LBB155_15:
	movq 40(%rbx), %rsi
.LBB155_16:
	movl %edx, %edi
	shrl $12, %edi
	andl $511, %edi
	movq (%rsi,%rdi,8), %r10
	testq %r10, %r10
	jne .LBB155_4
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
	jne .LBB157_2
	cmpq $0, 96(%rbx)
	je .LBB157_8
.LBB157_2:
	leaq 8(%rsp), %rdi
	movq %rbx, %rsi
	movq %rdx, %r8
	movq %rcx, %r9
	callq *_ZN9iopgtable5table22PageTable$LT$F$C$A$GT$9unmap_any
	movq 8(%rsp), %rcx
	cmpq $3, %rcx
	jne .LBB157_5
	xorl %eax, %eax
.LBB157_4:
	addq $112, %rsp
	popq %rbx
	retq
.LBB157_5:
	movb $1, %al
	cmpl $2, %ecx
	je .LBB157_4
	movq 96(%rsp), %rdx
	testq %rdx, %rdx
	je .LBB157_4
	movq 88(%rsp), %rsi
	movq 104(%rsp), %rcx
	movq %rbx, %rdi
	callq *_ZN9iopgtable5table7release58_$LT$impl$u20$iopgtable..table..PageTable$LT$F$C$A$GT$$GT$10free_loose
	movb $1, %al
	addq $112, %rsp
	popq %rbx
	retq
.LBB157_8:
	movl %edx, %eax
	andl $4095, %eax
	movq 56(%rbx), %rsi
	xorq %rdx, %rsi
	andq $-2093057, %rsi
	orq %rax, %rsi
	je .LBB157_13
	testq %rax, %rax
	jne .LBB157_2
	movq %rdx, %rax
	andq $-1073741824, %rax
	incq %rax
	cmpq 72(%rbx), %rax
	jne .LBB157_2
	movq 48(%rbx), %rax
	movl %edx, %esi
	shrl $18, %esi
	andl $4088, %esi
	movq (%rax,%rsi), %rax
	movl %eax, %esi
	notl %esi
	testb $3, %sil
	jne .LBB157_2
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
	jmp .LBB157_14
.LBB157_13:
	movq 40(%rbx), %rcx
.LBB157_14:
	shrl $9, %edx
	andl $4088, %edx
	movq $0, (%rcx,%rdx)
	movb $1, %al
	addq $112, %rsp
	popq %rbx
	retq
