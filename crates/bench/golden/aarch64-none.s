# rustc 1.95.0 (59807616e 2026-04-14)
# golden_fill_fresh: 14 instructions / 4
# golden_fill_live: 19 instructions / 8
# golden_list_fresh: 12 instructions / 4
# golden_list_live: 11 instructions / 8
# golden_clear: 3 instructions / 1
# golden_is_zero: 13 instructions / 4
# golden_translate: 62 instructions / 1
# golden_cursor_map: 58 instructions / 1
# golden_cursor_unmap: 61 instructions / 1
# golden_map_call: 78 instructions / 1
# golden_unmap_call: 74 instructions / 1

golden_fill_fresh:
	sub sp, sp, #32
	ldr x8, [x1]
	mov w9, #16384
	dup v2.2d, x9
	mov w9, #512
	orr x8, x8, x2
	dup v0.2d, x8
	adrp x8, .LCPI144_0
	ldr q1, [x8, :lo12:.LCPI144_0]
	mov w8, #8192
	add v0.2d, v0.2d, v1.2d
	dup v1.2d, x8
	add x8, x0, #16
.LBB144_1:
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
	b.ne .LBB144_1
	add sp, sp, #32
	ret

golden_fill_live:
	sub sp, sp, #64
	str x30, [sp, #48]
	ldr x9, [x1, #8]
	ldrb w10, [x1, #24]
	mov x8, x0
	mov x5, x2
	add x0, sp, #16
	mov w2, #512
	str x9, [sp, #8]
	mov x3, xzr
	mov w4, #3
	ldr x9, [x1]
	mov x1, x8
	str xzr, [sp, #32]
	strb w10, [sp, #40]
	str x9, [sp]
	ldr q0, [sp]
	str q0, [sp, #16]
	bl _ZN9iopgtable5table4fill15Leaves$LT$F$GT$4ramp
	ldr x30, [sp, #48]
	add sp, sp, #64
	ret

golden_list_fresh:
	sub sp, sp, #96
	ldrb w8, [x1, #24]
	ldr x9, [x1]
	cmp x3, #512
	tbz w8, #0, .LBB147_4
	mov w8, #512
	csel x8, x3, x8, lo
	cbz x3, .LBB147_16
	cmp x3, #4
	b.hs .LBB147_7
	mov x10, xzr
	b .LBB147_10
.LBB147_4:
	mov w8, #512
	csel x8, x3, x8, lo
	cbz x3, .LBB147_16
	cmp x3, #5
	b.hs .LBB147_12
	mov x10, xzr
	b .LBB147_14
.LBB147_7:
	dup v0.2d, x9
	and x10, x8, #0x3fc
	add x11, x0, #16
	and x12, x8, #0x3fc
.LBB147_8:
	str q0, [sp, #16]
	subs x12, x12, #4
	ldr x13, [sp, #24]
	stur x13, [x11, #-8]
	ldr x13, [sp, #16]
	stur x13, [x11, #-16]
	str q0, [sp]
	ldr x13, [sp, #8]
	str x13, [x11, #8]
	ldr x13, [sp]
	str x13, [x11], #32
	b.ne .LBB147_8
	cmp x8, x10
	b.eq .LBB147_16
.LBB147_10:
	add x11, x0, x10, lsl #3
	sub x10, x8, x10
.LBB147_11:
	subs x10, x10, #1
	str x9, [x11], #8
	b.ne .LBB147_11
	b .LBB147_16
.LBB147_12:
	ands x10, x8, #0x3
	mov w11, #4
	dup v0.2d, x9
	csel x10, x11, x10, eq
	add x11, x2, #32
	add x12, x0, #16
	sub x10, x8, x10
	mov x13, x10
.LBB147_13:
	ldur x14, [x11, #-24]
	sub x15, x11, #16
	subs x13, x13, #4
	str x14, [sp, #56]
	ldur x14, [x11, #-32]
	str x14, [sp, #48]
	ldr q1, [sp, #48]
	ldr x14, [x11, #8]
	ld1 { v1.d }[1], [x15]
	str x14, [sp, #40]
	ldr x14, [x11]
	str x14, [sp, #32]
	orr v1.16b, v1.16b, v0.16b
	add x14, x11, #16
	ldr q2, [sp, #32]
	add x11, x11, #64
	ld1 { v2.d }[1], [x14]
	str q1, [sp, #80]
	ldr x14, [sp, #88]
	stur x14, [x12, #-8]
	orr v1.16b, v2.16b, v0.16b
	ldr x14, [sp, #80]
	stur x14, [x12, #-16]
	str q1, [sp, #64]
	ldr x14, [sp, #72]
	str x14, [x12, #8]
	ldr x14, [sp, #64]
	str x14, [x12], #32
	b.ne .LBB147_13
.LBB147_14:
	add x11, x2, x10, lsl #4
	add x12, x0, x10, lsl #3
	sub x10, x8, x10
.LBB147_15:
	ldr x13, [x11], #16
	subs x10, x10, #1
	orr x13, x13, x9
	str x13, [x12], #8
	b.ne .LBB147_15
.LBB147_16:
	cmp x8, #512
	b.ne .LBB147_18
	add sp, sp, #96
	ret
.LBB147_18:
	lsl x8, x8, #3
	mov w9, #4096
	mov w1, wzr
	sub x2, x9, x8
	add x0, x0, x8
	add sp, sp, #96
	b memset

golden_list_live:
	ldrb w10, [x1, #24]
	ldr x9, [x1]
	cmp x3, #512
	mov w8, #512
	csel x8, x3, x8, lo
	tbz w10, #0, .LBB148_4
	cbz x3, .LBB148_7
	mov x10, x8
	mov x11, x0
.LBB148_3:
	subs x10, x10, #1
	str x9, [x11], #8
	b.ne .LBB148_3
	b .LBB148_7
.LBB148_4:
	cbz x3, .LBB148_7
	mov x10, x8
	mov x11, x0
.LBB148_6:
	ldr x12, [x2], #16
	subs x10, x10, #1
	orr x12, x12, x9
	str x12, [x11], #8
	b.ne .LBB148_6
.LBB148_7:
	mov w9, #512
	sub x11, x9, x8
	add x9, x0, x8, lsl #3
	ands x10, x11, #0x3f8
	and x8, x11, #0x7
	b.eq .LBB148_10
	and x11, x11, #0x3f8
	mov x12, x9
	neg x11, x11
.LBB148_9:
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
	b.ne .LBB148_9
.LBB148_10:
	cbz x8, .LBB148_18
	add x9, x9, x10, lsl #3
	cmp x8, #1
	str xzr, [x9]
	b.eq .LBB148_18
	cmp x8, #2
	str xzr, [x9, #8]
	b.eq .LBB148_18
	cmp x8, #3
	str xzr, [x9, #16]
	b.eq .LBB148_18
	cmp x8, #4
	str xzr, [x9, #24]
	b.eq .LBB148_18
	cmp x8, #5
	str xzr, [x9, #32]
	b.eq .LBB148_18
	cmp x8, #6
	str xzr, [x9, #40]
	b.eq .LBB148_18
	str xzr, [x9, #48]
.LBB148_18:
	ret

golden_clear:
	and x8, x1, #0x1ff
	mov w9, #512
	sub x9, x9, x8
	cmp x9, x2
	csel x10, x9, x2, lo
	cbz x2, .LBB141_3
	add x9, x0, x8, lsl #3
	lsl x8, x10, #3
.LBB141_2:
	subs x8, x8, #8
	str xzr, [x9], #8
	b.ne .LBB141_2
.LBB141_3:
	ret

golden_is_zero:
	cmp x2, #1
	and x8, x1, #0x1ff
	b.ne .LBB146_2
	ldr x11, [x0, x8, lsl #3]
	cmp x11, #0
	cset w0, eq
	ret
.LBB146_2:
	mov w9, #512
	sub x9, x9, x8
	cmp x9, x2
	csel x9, x9, x2, lo
	cbz x2, .LBB146_5
	sub sp, sp, #32
	cmp x9, #4
	b.hs .LBB146_6
	mov x11, xzr
	mov x10, x8
	b .LBB146_9
.LBB146_5:
	mov x11, xzr
	cmp x11, #0
	cset w0, eq
	ret
.LBB146_6:
	movi v0.2d, #0000000000000000
	movi v1.2d, #0000000000000000
	add x12, x0, x8, lsl #3
	and x11, x9, #0x3fc
	and x13, x9, #0x3fc
	add x10, x8, x11
	add x12, x12, #16
.LBB146_7:
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
	b.ne .LBB146_7
	orr v0.16b, v1.16b, v0.16b
	cmp x9, x11
	ext v1.16b, v0.16b, v0.16b, #8
	orr v0.8b, v0.8b, v1.8b
	fmov x11, d0
	b.eq .LBB146_11
.LBB146_9:
	add x12, x0, x10, lsl #3
	add x8, x9, x8
	sub x8, x8, x10
.LBB146_10:
	ldr x9, [x12], #8
	subs x8, x8, #1
	orr x11, x9, x11
	b.ne .LBB146_10
.LBB146_11:
	add sp, sp, #32
	cmp x11, #0
	cset w0, eq
	ret

golden_translate:
	stp x30, x19, [sp, #-16]!
	and x8, x1, #0xffffffffc0000000
	ldr x9, [x0, #72]
	mov x19, x1
	orr x8, x8, #0x1
	cmp x8, x9
	b.ne .LBB150_3
	ldr x9, [x0, #48]
	ubfx x10, x19, #21, #9
	ldr x8, [x0, #80]
	ldr x0, [x9, x10, lsl #3]
	mvn w9, w0
	tst x9, #0x3
	b.ne .LBB150_7
	ldr x9, [x8, #3080]
	and x10, x0, #0xfffffffff000
	ldr x8, [x8, #3072]
	mov w1, #3
	sub x9, x10, x9
	ubfx x10, x19, #12, #9
	adds x9, x8, x9
	csel x8, x8, x9, eq
	ldr x0, [x8, x10, lsl #3]
	and x9, x0, #0x3
	sxtb w8, w1
	cmp x9, #1
	b.ne .LBB150_4
	b .LBB150_8
.LBB150_3:
	mov x8, x0
	add x0, x0, #88
	mov x2, x19
	add x1, x8, #80
	bl _ZN9iopgtable5table5visit4walk
	and x9, x0, #0x3
	sxtb w8, w1
	cmp x9, #1
	b.eq .LBB150_8
.LBB150_4:
	cmp x9, #3
	b.ne .LBB150_6
	cmp w8, #3
	b.ge .LBB150_9
.LBB150_6:
	mov x0, xzr
	ldp x30, x19, [sp], #16
	ret
.LBB150_7:
	mov w1, #2
	and x9, x0, #0x3
	sxtb w8, w1
	cmp x9, #1
	b.ne .LBB150_4
.LBB150_8:
	cmp w8, #2
	b.gt .LBB150_6
.LBB150_9:
	mov w9, #3
	sub w8, w9, w8
	mov x9, #-1
	add w8, w8, w8, lsl #3
	add w8, w8, #12
	lsl x8, x9, x8
	and x9, x0, #0xfffffffff000
	bic x8, x19, x8
	orr x0, x8, x9
	ldp x30, x19, [sp], #16
	ret

golden_cursor_map:
	ldr x8, [x0, #104]
	ldrb w9, [x8, #32]
	cmp w9, #3
	b.ne .LBB142_2
	ldr x9, [x8, #120]
	tst x9, x2
	b.eq .LBB142_3
.LBB142_2:
	sub sp, sp, #64
	str x30, [sp, #48]
	mov x8, sp
	mov w3, #3
	bl _ZN9iopgtable5table6cursor19Cursor$LT$F$C$A$GT$13map_elsewhere
	ldrb w8, [sp]
	ldr x30, [sp, #48]
	cmp w8, #17
	cset w0, eq
	add sp, sp, #64
	ret
.LBB142_3:
	ldr x9, [x8, #56]
	and x10, x1, #0xfff
	eor x9, x9, x1
	and x11, x9, #0xffffffffffe00fff
	ldr x9, [x8, #16]
	orr x11, x11, x10
	cbz x11, .LBB142_8
	cbnz x10, .LBB142_2
	and x10, x1, #0xffffffffc0000000
	ldr x11, [x8, #72]
	orr x10, x10, #0x1
	cmp x10, x11
	b.ne .LBB142_2
	ldr x10, [x8, #48]
	ubfx x11, x1, #21, #9
	ldr x10, [x10, x11, lsl #3]
	mvn w11, w10
	tst x11, #0x3
	b.ne .LBB142_2
	ldr x11, [x8, #80]
	and x13, x10, #0xfffffffff000
	ldr x12, [x11, #3080]
	ldr x10, [x11, #3072]
	sub x11, x13, x12
	adds x11, x10, x11
	csel x10, x10, x11, eq
	and x11, x1, #0xffffffffffe00000
	str x10, [x8, #40]
	stp x11, x13, [x8, #56]
	b .LBB142_9
.LBB142_8:
	ldr x10, [x8, #40]
.LBB142_9:
	ubfx x8, x1, #12, #9
	ldr x11, [x10, x8, lsl #3]
	cbnz x11, .LBB142_2
	orr x9, x9, x2
	str x9, [x10, x8, lsl #3]
	mov w8, #1
	strb w8, [x0, #128]
	mov w0, #1
	ret

golden_cursor_unmap:
	ldr x8, [x0, #104]
	ldr x9, [x8, #96]
	cbz x9, .LBB143_2
.LBB143_1:
	sub sp, sp, #64
	str x30, [sp, #48]
	mov x8, sp
	bl _ZN9iopgtable5table6cursor19Cursor$LT$F$C$A$GT$20unmap_page_elsewhere
	ldrb w8, [sp]
	ldr x30, [sp, #48]
	cmp w8, #17
	cset w0, eq
	add sp, sp, #64
	ret
.LBB143_2:
	ldr x9, [x8, #56]
	eor x10, x9, x1
	and x9, x1, #0xfff
	and x10, x10, #0xffffffffffe00fff
	orr x10, x10, x9
	cbz x10, .LBB143_7
	cbnz x9, .LBB143_1
	and x9, x1, #0xffffffffc0000000
	ldr x10, [x8, #72]
	orr x9, x9, #0x1
	cmp x9, x10
	b.ne .LBB143_1
	ldr x9, [x8, #48]
	ubfx x10, x1, #21, #9
	ldr x9, [x9, x10, lsl #3]
	mvn w10, w9
	tst x10, #0x3
	b.ne .LBB143_1
	ldr x10, [x8, #80]
	and x12, x9, #0xfffffffff000
	ldr x11, [x10, #3080]
	ldr x9, [x10, #3072]
	sub x10, x12, x11
	adds x10, x9, x10
	csel x9, x9, x10, eq
	and x10, x1, #0xffffffffffe00000
	str x9, [x8, #40]
	stp x10, x12, [x8, #56]
	b .LBB143_8
.LBB143_7:
	ldr x9, [x8, #40]
.LBB143_8:
	ubfx x8, x1, #12, #9
	cmn x1, #1, lsl #12
	str xzr, [x9, x8, lsl #3]
	add x8, x1, #4095
	ldp x11, x10, [x0, #112]
	csel x9, x8, x1, hi
	csel x8, x1, x8, hi
	cmp x9, x11
	b.hs .LBB143_10
	cmp x10, x8
	str x9, [x0, #112]
	csel x8, x10, x8, hi
	b .LBB143_11
.LBB143_10:
	cmp x8, x10
	b.ls .LBB143_12
.LBB143_11:
	str x8, [x0, #120]
.LBB143_12:
	mov w0, #1
	ret

golden_map_call:
	sub sp, sp, #128
	stp x30, x19, [sp, #112]
	sub x8, x2, x1
	mov x19, x0
	cmp x8, #4095
	b.ne .LBB149_4
	cmp x4, #1, lsl #12
	b.ne .LBB149_4
	ldrb w8, [x19, #32]
	cmp w8, #3
	b.ne .LBB149_4
	ldr x8, [x19, #120]
	tst x8, x3
	b.eq .LBB149_10
.LBB149_4:
	add x8, sp, #8
	mov x0, x19
	mov w5, #3
	bl _ZN9iopgtable5table22PageTable$LT$F$C$A$GT$11map_segment
	ldr x8, [sp, #8]
	cmp x8, #3
	b.ne .LBB149_7
	mov w0, wzr
.LBB149_6:
	ldp x30, x19, [sp, #112]
	add sp, sp, #128
	ret
.LBB149_7:
	cmp x8, #2
	mov w0, #1
	b.eq .LBB149_6
	ldr x2, [sp, #96]
	cbz x2, .LBB149_6
	ldr x1, [sp, #88]
	ldr x3, [sp, #104]
	mov x0, x19
	bl _ZN9iopgtable5table7release58_$LT$impl$u20$iopgtable..table..PageTable$LT$F$C$A$GT$$GT$10free_loose
	mov w0, #1
	ldp x30, x19, [sp, #112]
	add sp, sp, #128
	ret
.LBB149_10:
	ldr x8, [x19, #56]
	and x9, x1, #0xfff
	eor x8, x8, x1
	and x10, x8, #0xffffffffffe00fff
	ldr x8, [x19, #16]
	orr x10, x10, x9
	cbz x10, .LBB149_15
	cbnz x9, .LBB149_4
	and x9, x1, #0xffffffffc0000000
	ldr x10, [x19, #72]
	orr x9, x9, #0x1
	cmp x9, x10
	b.ne .LBB149_4
	ldr x9, [x19, #48]
	ubfx x10, x1, #21, #9
	ldr x9, [x9, x10, lsl #3]
	mvn w10, w9
	tst x10, #0x3
	b.ne .LBB149_4
	ldr x10, [x19, #80]
	and x12, x9, #0xfffffffff000
	ldr x11, [x10, #3080]
	ldr x9, [x10, #3072]
	sub x10, x12, x11
	adds x10, x9, x10
	csel x9, x9, x10, eq
	and x10, x1, #0xffffffffffe00000
	str x9, [x19, #40]
	stp x10, x12, [x19, #56]
	b .LBB149_16
.LBB149_15:
	ldr x9, [x19, #40]
.LBB149_16:
	ubfx x10, x1, #12, #9
	ldr x11, [x9, x10, lsl #3]
	cbnz x11, .LBB149_4
	orr x8, x8, x3
	str x8, [x9, x10, lsl #3]
	mov w0, #1
	ldp x30, x19, [sp, #112]
	add sp, sp, #128
	ret

golden_unmap_call:
	sub sp, sp, #128
	stp x30, x19, [sp, #112]
	sub x8, x2, x1
	mov x19, x0
	cmp x8, #4095
	b.ne .LBB151_2
	ldr x8, [x19, #96]
	cbz x8, .LBB151_8
.LBB151_2:
	add x8, sp, #8
	mov x0, x19
	mov x3, x1
	mov x4, x2
	bl _ZN9iopgtable5table22PageTable$LT$F$C$A$GT$9unmap_any
	ldr x8, [sp, #8]
	cmp x8, #3
	b.ne .LBB151_5
	mov w0, wzr
.LBB151_4:
	ldp x30, x19, [sp, #112]
	add sp, sp, #128
	ret
.LBB151_5:
	cmp x8, #2
	mov w0, #1
	b.eq .LBB151_4
	ldr x2, [sp, #96]
	cbz x2, .LBB151_4
	ldr x1, [sp, #88]
	ldr x3, [sp, #104]
	mov x0, x19
	bl _ZN9iopgtable5table7release58_$LT$impl$u20$iopgtable..table..PageTable$LT$F$C$A$GT$$GT$10free_loose
	mov w0, #1
	ldp x30, x19, [sp, #112]
	add sp, sp, #128
	ret
.LBB151_8:
	ldr x8, [x19, #56]
	eor x9, x8, x1
	and x8, x1, #0xfff
	and x9, x9, #0xffffffffffe00fff
	orr x9, x9, x8
	cbz x9, .LBB151_13
	cbnz x8, .LBB151_2
	and x8, x1, #0xffffffffc0000000
	ldr x9, [x19, #72]
	orr x8, x8, #0x1
	cmp x8, x9
	b.ne .LBB151_2
	ldr x8, [x19, #48]
	ubfx x9, x1, #21, #9
	ldr x8, [x8, x9, lsl #3]
	mvn w9, w8
	tst x9, #0x3
	b.ne .LBB151_2
	ldr x9, [x19, #80]
	and x11, x8, #0xfffffffff000
	ldr x10, [x9, #3080]
	ldr x8, [x9, #3072]
	sub x9, x11, x10
	adds x9, x8, x9
	csel x8, x8, x9, eq
	and x9, x1, #0xffffffffffe00000
	str x8, [x19, #40]
	stp x9, x11, [x19, #56]
	ubfx x9, x1, #12, #9
	str xzr, [x8, x9, lsl #3]
	mov w0, #1
	ldp x30, x19, [sp, #112]
	add sp, sp, #128
	ret
.LBB151_13:
	ldr x8, [x19, #40]
	ubfx x9, x1, #12, #9
	str xzr, [x8, x9, lsl #3]
	mov w0, #1
	ldp x30, x19, [sp, #112]
	add sp, sp, #128
	ret
