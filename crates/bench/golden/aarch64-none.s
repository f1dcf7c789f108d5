# rustc 1.95.0 (59807616e 2026-04-14)
# golden_fill_fresh: 14 instructions / 4
# golden_fill_live: 19 instructions / 8
# golden_list_fresh: 29 instructions / 4
# golden_list_live: 11 instructions / 8
# golden_clear: 3 instructions / 1
# golden_is_zero: 13 instructions / 4
# golden_translate: 43 instructions / 1
# golden_cursor_map: 123 instructions / 1
# golden_cursor_unmap: 82 instructions / 1
# golden_map_call: 58 instructions / 1
# golden_unmap_call: 50 instructions / 1
# 8map_near: 59 instructions / 1
# 10unmap_near: 46 instructions / 1

golden_fill_fresh:
	sub sp, sp, #32
	ldr x8, [x1]
	mov w9, #16384
	dup v2.2d, x9
	mov w9, #512
	orr x8, x8, x2
	dup v0.2d, x8
	adrp x8, .LCPI124_0
	ldr q1, [x8, :lo12:.LCPI124_0]
	mov w8, #8192
	add v0.2d, v0.2d, v1.2d
	dup v1.2d, x8
	add x8, x0, #16
.LBB124_1:
	str q0, [sp, #16]
	add v3.2d, v0.2d, v1.2d
	add v0.2d, v0.2d, v2.2d
	ldr x10, [sp, #24]
	subs x9, x9, #4
	stur x10, [x8, #-8]
	ldr x10, [sp, #16]
	stur x10, [x8, #-16]
	str q3, [sp]
	ldr x10, [sp, #8]
	str x10, [x8, #8]
	ldr x10, [sp]
	str x10, [x8], #32
	b.ne .LBB124_1
	add sp, sp, #32
	ret

golden_fill_live:
	sub sp, sp, #64
	str x30, [sp, #48]
	ldr x9, [x1, #8]
	mov x8, x0
	mov x5, x2
	add x0, sp, #16
	mov w2, #512
	mov x3, xzr
	str x9, [sp, #8]
	mov w4, #3
	ldr x9, [x1]
	mov x1, x8
	str xzr, [sp, #32]
	str x9, [sp]
	ldr q0, [sp]
	str q0, [sp, #16]
	bl _ZN9iopgtable5table4fill15Leaves$LT$F$GT$4ramp
	ldr x30, [sp, #48]
	add sp, sp, #64
	ret

golden_list_fresh:
	cmp x3, #512
	mov w8, #512
	csel x8, x3, x8, lo
	cbz x3, .LBB127_9
	sub sp, sp, #64
	ldr x9, [x1]
	cmp x3, #5
	b.hs .LBB127_3
	mov x10, xzr
	b .LBB127_5
.LBB127_3:
	ands x10, x8, #0x3
	mov w11, #4
	dup v0.2d, x9
	csel x10, x11, x10, eq
	add x11, x2, #32
	add x12, x0, #16
	sub x10, x8, x10
	mov x13, x10
.LBB127_4:
	ldur x14, [x11, #-24]
	sub x15, x11, #16
	subs x13, x13, #4
	str x14, [sp, #24]
	ldur x14, [x11, #-32]
	str x14, [sp, #16]
	ldr q1, [sp, #16]
	ldr x14, [x11, #8]
	ld1 { v1.d }[1], [x15]
	str x14, [sp, #8]
	ldr x14, [x11]
	str x14, [sp]
	orr v1.16b, v1.16b, v0.16b
	add x14, x11, #16
	ldr q2, [sp]
	add x11, x11, #64
	ld1 { v2.d }[1], [x14]
	str q1, [sp, #48]
	ldr x14, [sp, #56]
	stur x14, [x12, #-8]
	orr v1.16b, v2.16b, v0.16b
	ldr x14, [sp, #48]
	stur x14, [x12, #-16]
	str q1, [sp, #32]
	ldr x14, [sp, #40]
	str x14, [x12, #8]
	ldr x14, [sp, #32]
	str x14, [x12], #32
	b.ne .LBB127_4
.LBB127_5:
	add x11, x2, x10, lsl #4
	add x12, x0, x10, lsl #3
	sub x10, x8, x10
.LBB127_6:
	ldr x13, [x11], #16
	subs x10, x10, #1
	orr x13, x13, x9
	str x13, [x12], #8
	b.ne .LBB127_6
	cmp x3, #511
	add sp, sp, #64
	b.ls .LBB127_9
	ret
.LBB127_9:
	lsl x8, x8, #3
	mov w9, #4096
	mov w1, wzr
	sub x2, x9, x8
	add x0, x0, x8
	b memset

golden_list_live:
	cmp x3, #512
	mov w8, #512
	csel x8, x3, x8, lo
	cbz x3, .LBB128_3
	ldr x9, [x1]
	mov x10, x8
	mov x11, x0
.LBB128_2:
	ldr x12, [x2], #16
	subs x10, x10, #1
	orr x12, x12, x9
	str x12, [x11], #8
	b.ne .LBB128_2
.LBB128_3:
	mov w9, #512
	sub x11, x9, x8
	add x9, x0, x8, lsl #3
	ands x10, x11, #0x3f8
	and x8, x11, #0x7
	b.eq .LBB128_6
	and x11, x11, #0x3f8
	mov x12, x9
	neg x11, x11
.LBB128_5:
	str xzr, [x12]
	adds x11, x11, #8
	str xzr, [x12, #8]
	str xzr, [x12, #16]
	str xzr, [x12, #24]
	str xzr, [x12, #32]
	str xzr, [x12, #40]
	str xzr, [x12, #48]
	str xzr, [x12, #56]
	add x12, x12, #64
	b.ne .LBB128_5
.LBB128_6:
	cbz x8, .LBB128_14
	add x9, x9, x10, lsl #3
	cmp x8, #1
	str xzr, [x9]
	b.eq .LBB128_14
	cmp x8, #2
	str xzr, [x9, #8]
	b.eq .LBB128_14
	cmp x8, #3
	str xzr, [x9, #16]
	b.eq .LBB128_14
	cmp x8, #4
	str xzr, [x9, #24]
	b.eq .LBB128_14
	cmp x8, #5
	str xzr, [x9, #32]
	b.eq .LBB128_14
	cmp x8, #6
	str xzr, [x9, #40]
	b.eq .LBB128_14
	str xzr, [x9, #48]
.LBB128_14:
	ret

golden_clear:
	and x8, x1, #0x1ff
	mov w9, #512
	sub x9, x9, x8
	cmp x9, x2
	csel x10, x9, x2, lo
	cbz x2, .LBB121_3
	add x9, x0, x8, lsl #3
	lsl x8, x10, #3
.LBB121_2:
	subs x8, x8, #8
	str xzr, [x9], #8
	b.ne .LBB121_2
.LBB121_3:
	ret

golden_is_zero:
	cmp x2, #1
	and x8, x1, #0x1ff
	b.ne .LBB126_2
	ldr x11, [x0, x8, lsl #3]
	cmp x11, #0
	cset w0, eq
	ret
.LBB126_2:
	mov w9, #512
	sub x9, x9, x8
	cmp x9, x2
	csel x9, x9, x2, lo
	cbz x2, .LBB126_5
	sub sp, sp, #32
	cmp x9, #4
	b.hs .LBB126_6
	mov x11, xzr
	mov x10, x8
	b .LBB126_9
.LBB126_5:
	mov x11, xzr
	cmp x11, #0
	cset w0, eq
	ret
.LBB126_6:
	movi v0.2d, #0000000000000000
	movi v1.2d, #0000000000000000
	add x12, x0, x8, lsl #3
	and x11, x9, #0x3fc
	and x13, x9, #0x3fc
	add x10, x8, x11
	add x12, x12, #16
.LBB126_7:
	ldur x14, [x12, #-8]
	subs x13, x13, #4
	str x14, [sp, #24]
	ldur x14, [x12, #-16]
	str x14, [sp, #16]
	ldr x14, [x12, #8]
	str x14, [sp, #8]
	ldr x14, [x12], #32
	str x14, [sp]
	ldp q3, q2, [sp]
	orr v0.16b, v2.16b, v0.16b
	orr v1.16b, v3.16b, v1.16b
	b.ne .LBB126_7
	orr v0.16b, v1.16b, v0.16b
	cmp x9, x11
	ext v1.16b, v0.16b, v0.16b, #8
	orr v0.8b, v0.8b, v1.8b
	fmov x11, d0
	b.eq .LBB126_11
.LBB126_9:
	add x12, x0, x10, lsl #3
	add x8, x9, x8
	sub x8, x8, x10
.LBB126_10:
	ldr x9, [x12], #8
	subs x8, x8, #1
	orr x11, x9, x11
	b.ne .LBB126_10
.LBB126_11:
	add sp, sp, #32
	cmp x11, #0
	cset w0, eq
	ret

golden_translate:
	sub sp, sp, #112
	stp x30, x19, [sp, #96]
	mov x8, x0
	str x1, [sp, #8]
	ldr x9, [x8, #88]!
	ldrb w10, [x8, #11]
	eor x9, x9, x1
	lsr x9, x9, x10
	cbnz x9, .LBB130_4
	add x9, sp, #8
	add x10, x0, #80
	ldrb w11, [x0, #97]
	stp x9, x10, [sp, #16]
	add x9, sp, #36
	mov x19, x1
	stp x8, x9, [sp, #40]
	add x8, sp, #16
	add x0, sp, #64
	add x1, sp, #40
	strb w11, [sp, #36]
	str x8, [sp, #56]
	bl _ZN9iopgtable5table4tree17Tree$LT$F$C$S$GT$7leaf_at28_$u7b$$u7b$closure$u7d$$u7d$
	ldr x8, [sp, #64]
	cmp x8, #2
	b.eq .LBB130_4
	tbz w8, #0, .LBB130_4
	ldrb w8, [sp, #80]
	mov w9, #3
	sub w8, w9, w8
	mov x9, #-1
	add w8, w8, w8, lsl #3
	add w8, w8, #12
	lsl x8, x9, x8
	ldr x9, [sp, #88]
	bic x8, x19, x8
	orr x0, x8, x9
	ldp x30, x19, [sp, #96]
	add sp, sp, #112
	ret
.LBB130_4:
	mov x0, xzr
	ldp x30, x19, [sp, #96]
	add sp, sp, #112
	ret

golden_cursor_map:
	sub sp, sp, #176
	str x30, [sp, #128]
	stp x22, x21, [sp, #144]
	stp x20, x19, [sp, #160]
	orr w8, w2, w1
	tst x8, #0xfff
	b.ne .LBB122_12
	ldr x20, [x0, #104]
	mov x9, #-1
	ldrb w8, [x20, #100]
	neg w8, w8
	lsr x8, x9, x8
	cmp x2, x8
	b.hi .LBB122_12
	ldrb w8, [x20, #32]
	cmp w8, #3
	b.ne .LBB122_7
	ldur x8, [x20, #24]
	str x8, [sp, #8]
	ldur x8, [x20, #16]
	str x8, [sp]
	ldr q0, [sp]
	str q0, [sp, #16]
	ldp x9, x8, [sp, #16]
	stp x9, x8, [sp, #88]
	mov w9, #1
	str x9, [sp, #80]
	lsr x8, x1, #19
	ldr x9, [x20, #56]
	and x8, x8, #0x1ffffffffffc
	cmp x9, x8
	b.eq .LBB122_8
.LBB122_4:
	ldr x9, [x20, #72]
	cmp x9, x1, lsr #30
	b.ne .LBB122_9
	ldr x9, [x20, #48]
	ubfx x10, x1, #21, #9
	ldr x9, [x9, x10, lsl #3]
	mvn w10, w9
	tst x10, #0x3
	b.ne .LBB122_9
	ldr x10, [x20, #80]
	and x9, x9, #0xfffffffff000
	stp x8, x9, [x20, #56]
	ldr x11, [x10, #520]
	ldr x10, [x10, #512]
	sub x11, x9, x11
	adds x11, x10, x11
	csel x8, x10, x11, eq
	str x8, [x20, #40]
	mov w10, #511
	str x9, [sp, #120]
	stp x8, x10, [sp, #104]
	ldr w8, [sp, #80]
	tbnz w8, #0, .LBB122_10
	b .LBB122_12
.LBB122_7:
	ldrb w9, [x20, #160]
	add x8, sp, #80
	mov x19, x0
	add x0, x20, #16
	mov x21, x1
	mov x22, x2
	mov w1, w9
	mov w2, #3
	bl _ZN9iopgtable6format7Encoded6encode
	mov x0, x19
	mov x1, x21
	mov x2, x22
	lsr x8, x21, #19
	ldr x9, [x20, #56]
	and x8, x8, #0x1ffffffffffc
	cmp x9, x8
	b.ne .LBB122_4
.LBB122_8:
	ldr x8, [x20, #40]
	ldr x9, [x20, #64]
	mov w10, #511
	str x9, [sp, #120]
	stp x8, x10, [sp, #104]
	ldr w8, [sp, #80]
	tbnz w8, #0, .LBB122_10
	b .LBB122_12
.LBB122_9:
	mov x19, x1
	add x8, sp, #104
	mov x21, x0
	add x0, x20, #40
	add x1, x20, #88
	mov x22, x2
	add x2, x20, #80
	mov x3, x19
	bl _ZN9iopgtable5table6recent6Recent4walk
	mov x0, x21
	mov x1, x19
	mov x2, x22
	ldr w8, [sp, #80]
	tbz w8, #0, .LBB122_12
.LBB122_10:
	ldr x8, [sp, #104]
	cbz x8, .LBB122_12
	ldr x9, [sp, #112]
	ldr x10, [sp, #88]
	and x9, x9, x1, lsr #12
	ldr x11, [x8, x9, lsl #3]
	cbz x11, .LBB122_13
.LBB122_12:
	add x8, sp, #32
	mov w3, #3
	bl _ZN9iopgtable5table6cursor19Cursor$LT$F$C$A$GT$13map_elsewhere
	ldrb w8, [sp, #32]
	cmp w8, #17
	cset w0, eq
	ldp x20, x19, [sp, #160]
	ldr x30, [sp, #128]
	ldp x22, x21, [sp, #144]
	add sp, sp, #176
	ret
.LBB122_13:
	orr x10, x10, x2
	str x10, [x8, x9, lsl #3]
	mov w8, #1
	strb w8, [x0, #112]
	mov w0, #1
	ldp x20, x19, [sp, #160]
	ldr x30, [sp, #128]
	ldp x22, x21, [sp, #144]
	add sp, sp, #176
	ret

golden_cursor_unmap:
	sub sp, sp, #80
	str x30, [sp, #48]
	stp x20, x19, [sp, #64]
	tst x1, #0xfff
	b.ne .LBB123_2
	ldr x9, [x0, #104]
	ldr x8, [x9, #120]
	cbz x8, .LBB123_3
.LBB123_2:
	mov x8, sp
	bl _ZN9iopgtable5table6cursor19Cursor$LT$F$C$A$GT$20unmap_page_elsewhere
	ldrb w8, [sp]
	cmp w8, #17
	cset w0, eq
	ldp x20, x19, [sp, #64]
	ldr x30, [sp, #48]
	add sp, sp, #80
	ret
.LBB123_3:
	lsr x8, x1, #19
	ldr x10, [x9, #56]
	and x8, x8, #0x1ffffffffffc
	cmp x10, x8
	b.ne .LBB123_5
	ldur x10, [x9, #40]
	mov w8, #511
	b .LBB123_10
.LBB123_5:
	ldr x10, [x9, #72]
	cmp x10, x1, lsr #30
	b.ne .LBB123_8
	ldr x10, [x9, #48]
	ubfx x11, x1, #21, #9
	ldr x10, [x10, x11, lsl #3]
	mvn w11, w10
	tst x11, #0x3
	b.ne .LBB123_8
	ldr x11, [x9, #80]
	and x13, x10, #0xfffffffff000
	ldr x12, [x11, #520]
	ldr x10, [x11, #512]
	stp x8, x13, [x9, #56]
	mov w8, #511
	sub x11, x13, x12
	adds x11, x10, x11
	csel x10, x10, x11, eq
	str x10, [x9, #40]
	b .LBB123_10
.LBB123_8:
	mov x19, x0
	mov x8, sp
	add x0, x9, #40
	mov x3, x1
	add x1, x9, #88
	add x2, x9, #80
	mov x20, x3
	bl _ZN9iopgtable5table6recent6Recent4walk
	ldr x10, [sp]
	cbz x10, .LBB123_11
	ldr x8, [sp, #8]
	mov x0, x19
	mov x1, x20
.LBB123_10:
	and x8, x8, x1, lsr #12
	mov w12, #1
	str xzr, [x10, x8, lsl #3]
	orr x10, x1, #0xfff
	ldp x8, x9, [x0, #8]
	ldr w11, [x0]
	strb w12, [x0, #112]
	cmp x1, x8
	csel x8, x1, x8, lo
	cmp x10, x9
	csel x9, x10, x9, hi
	tst w11, #0x1
	csel x8, x8, x1, ne
	csel x9, x9, x10, ne
	stp x12, x8, [x0]
	str x9, [x0, #16]
	mov w0, #1
	ldp x20, x19, [sp, #64]
	ldr x30, [sp, #48]
	add sp, sp, #80
	ret
.LBB123_11:
	mov x0, x19
	mov x1, x20
	b .LBB123_2

golden_map_call:
	sub sp, sp, #208
	stp x30, x23, [sp, #160]
	stp x22, x21, [sp, #176]
	stp x20, x19, [sp, #192]
	mov w5, #3
	mov x22, x4
	mov x23, x3
	mov x20, x2
	mov x21, x1
	mov x19, x0
	bl _ZN9iopgtable5table5short58_$LT$impl$u20$iopgtable..table..PageTable$LT$F$C$A$GT$$GT$8map_near
	tbnz w0, #0, .LBB129_2
	mov x0, x19
	mov x1, x21
	mov x2, x20
	mov x3, x23
	mov x4, x22
	mov w5, #3
	bl _ZN9iopgtable5table5short58_$LT$impl$u20$iopgtable..table..PageTable$LT$F$C$A$GT$$GT$7map_one
	cbz w0, .LBB129_6
.LBB129_2:
	ldr x8, [x19, #112]
	stp xzr, xzr, [sp, #104]
	str x8, [sp, #120]
.LBB129_3:
	ldp x8, x9, [sp, #104]
	ldr x10, [sp, #120]
	str x10, [sp, #144]
	stp x8, x9, [sp]
	ldr q0, [sp]
	str q0, [sp, #128]
	cbz x9, .LBB129_5
	add x1, sp, #128
	mov x0, x19
	bl _ZN9iopgtable5table22PageTable$LT$F$C$A$GT$10free_loose
.LBB129_5:
	mov w0, #1
	ldp x20, x19, [sp, #192]
	ldp x22, x21, [sp, #176]
	ldp x30, x23, [sp, #160]
	add sp, sp, #208
	ret
.LBB129_6:
	mov w8, #1
	add x3, sp, #128
	mov x0, x19
	stp x8, x23, [sp, #128]
	add x8, sp, #24
	mov x1, x21
	mov x2, x20
	mov w4, #3
	str x22, [sp, #144]
	bl _ZN9iopgtable5table22PageTable$LT$F$C$A$GT$7map_any
	ldr x8, [sp, #24]
	cmp x8, #2
	b.ne .LBB129_3
	mov w0, wzr
	ldp x20, x19, [sp, #192]
	ldp x22, x21, [sp, #176]
	ldp x30, x23, [sp, #160]
	add sp, sp, #208
	ret

golden_unmap_call:
	sub sp, sp, #192
	stp x30, x21, [sp, #160]
	stp x20, x19, [sp, #176]
	mov x3, x1
	mov x4, x2
	mov x20, x2
	mov x21, x1
	mov x19, x0
	bl _ZN9iopgtable5table5short58_$LT$impl$u20$iopgtable..table..PageTable$LT$F$C$A$GT$$GT$10unmap_near
	tbnz w0, #0, .LBB131_2
	mov x0, x19
	mov x1, x21
	mov x2, x20
	mov x3, x21
	mov x4, x20
	bl _ZN9iopgtable5table5short58_$LT$impl$u20$iopgtable..table..PageTable$LT$F$C$A$GT$$GT$11unmap_short
	cbz w0, .LBB131_6
.LBB131_2:
	ldr x8, [x19, #112]
	stp xzr, xzr, [sp, #104]
	str x8, [sp, #120]
.LBB131_3:
	ldp x8, x9, [sp, #104]
	ldr x10, [sp, #120]
	str x10, [sp, #144]
	stp x8, x9, [sp]
	ldr q0, [sp]
	str q0, [sp, #128]
	cbz x9, .LBB131_5
	add x1, sp, #128
	mov x0, x19
	bl _ZN9iopgtable5table22PageTable$LT$F$C$A$GT$10free_loose
.LBB131_5:
	mov w0, #1
	ldp x20, x19, [sp, #176]
	ldp x30, x21, [sp, #160]
	add sp, sp, #192
	ret
.LBB131_6:
	add x8, sp, #24
	mov x0, x19
	mov x1, x21
	mov x2, x20
	mov x3, x21
	mov x4, x20
	bl _ZN9iopgtable5table22PageTable$LT$F$C$A$GT$9unmap_any
	ldr x8, [sp, #24]
	cmp x8, #2
	b.ne .LBB131_3
	mov w0, wzr
	ldp x20, x19, [sp, #176]
	ldp x30, x21, [sp, #160]
	add sp, sp, #192
	ret

8map_near:
	sub x8, x2, x1
	cmp x8, #4095
	mov w8, wzr
	b.ne .LBB89_8
	orr w9, w3, w1
	and x9, x9, #0xfff
	orr x9, x9, x4
	cmp x9, #1, lsl #12
	b.ne .LBB89_8
	ldrb w8, [x0, #100]
	mov x9, #-1
	neg w8, w8
	lsr x8, x9, x8
	cmp x3, x8
	mov w8, wzr
	b.hi .LBB89_8
	ldrb w10, [x0, #32]
	and w9, w5, #0xff
	cmp w9, w10
	b.ne .LBB89_8
	cbz w9, .LBB89_12
	lsr x8, x1, #19
	ldr x10, [x0, #56]
	and x9, x8, #0x1ffffffffffc
	ldr x8, [x0, #16]
	cmp x10, x9
	b.ne .LBB89_9
	ldr x10, [x0, #40]
	ubfx x9, x1, #12, #9
	ldr x11, [x10, x9, lsl #3]
	cbnz x11, .LBB89_12
.LBB89_7:
	orr x8, x8, x3
	str x8, [x10, x9, lsl #3]
	mov w8, #1
.LBB89_8:
	mov w0, w8
	ret
.LBB89_9:
	ldr x10, [x0, #72]
	cmp x10, x1, lsr #30
	b.ne .LBB89_12
	ldr x10, [x0, #48]
	ubfx x11, x1, #21, #9
	ldr x10, [x10, x11, lsl #3]
	mvn w11, w10
	tst x11, #0x3
	b.ne .LBB89_12
	ldr x11, [x0, #80]
	and x13, x10, #0xfffffffff000
	stp x9, x13, [x0, #56]
	ldr x12, [x11, #520]
	ldr x10, [x11, #512]
	sub x11, x13, x12
	adds x11, x10, x11
	csel x10, x10, x11, eq
	str x10, [x0, #40]
	ubfx x9, x1, #12, #9
	ldr x11, [x10, x9, lsl #3]
	cbz x11, .LBB89_7
.LBB89_12:
	mov w0, wzr
	ret

10unmap_near:
	sub x8, x2, x1
	cmp x8, #4095
	mov w8, wzr
	b.hi .LBB86_7
	cmp x1, x3
	b.ne .LBB86_7
	cmp x2, x4
	b.ne .LBB86_7
	add w8, w2, #1
	ldr x9, [x0, #120]
	orr w8, w8, w1
	and x8, x8, #0xfff
	orr x8, x8, x9
	cbnz x8, .LBB86_11
	lsr x8, x1, #19
	ldr x9, [x0, #56]
	and x8, x8, #0x1ffffffffffc
	cmp x9, x8
	b.ne .LBB86_8
	ldr x9, [x0, #40]
.LBB86_6:
	ubfx x8, x1, #12, #9
	str xzr, [x9, x8, lsl #3]
	mov w8, #1
.LBB86_7:
	mov w0, w8
	ret
.LBB86_8:
	ldr x9, [x0, #72]
	cmp x9, x1, lsr #30
	b.ne .LBB86_11
	ldr x9, [x0, #48]
	ubfx x10, x1, #21, #9
	ldr x9, [x9, x10, lsl #3]
	mvn w10, w9
	tst x10, #0x3
	b.ne .LBB86_11
	ldr x10, [x0, #80]
	and x12, x9, #0xfffffffff000
	stp x8, x12, [x0, #56]
	ldr x11, [x10, #520]
	ldr x9, [x10, #512]
	sub x10, x12, x11
	adds x10, x9, x10
	csel x9, x9, x10, eq
	str x9, [x0, #40]
	b .LBB86_6
.LBB86_11:
	mov w0, wzr
	ret
