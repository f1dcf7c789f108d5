# rustc 1.95.0 (59807616e 2026-04-14)
# golden_fill_fresh: 14 instructions / 4
# golden_fill_live: 19 instructions / 8
# golden_list_fresh: 29 instructions / 4
# golden_list_live: 11 instructions / 8
# golden_clear: 3 instructions / 1
# golden_is_zero: 13 instructions / 4
# golden_translate: 42 instructions / 1
# golden_cursor_map: 125 instructions / 1
# golden_cursor_unmap: 85 instructions / 1
# golden_map_call: 77 instructions / 1
# golden_unmap_call: 57 instructions / 1
# 8map_near: 60 instructions / 1
# 10unmap_near: 48 instructions / 1

golden_fill_fresh:
	sub sp, sp, #32
	ldr x8, [x1]
	mov w9, #16384
	dup v2.2d, x9
	mov w9, #512
	orr x8, x8, x2
	dup v0.2d, x8
	adrp x8, .LCPI142_0
	ldr q1, [x8, :lo12:.LCPI142_0]
	mov w8, #8192
	add v0.2d, v0.2d, v1.2d
	dup v1.2d, x8
	add x8, x0, #16
.LBB142_1:
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
	b.ne .LBB142_1
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
	cbz x3, .LBB145_9
	sub sp, sp, #64
	ldr x9, [x1]
	cmp x3, #5
	b.hs .LBB145_3
	mov x10, xzr
	b .LBB145_5
.LBB145_3:
	ands x10, x8, #0x3
	mov w11, #4
	dup v0.2d, x9
	csel x10, x11, x10, eq
	add x11, x2, #32
	add x12, x0, #16
	sub x10, x8, x10
	mov x13, x10
.LBB145_4:
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
	b.ne .LBB145_4
.LBB145_5:
	add x11, x2, x10, lsl #4
	add x12, x0, x10, lsl #3
	sub x10, x8, x10
.LBB145_6:
	ldr x13, [x11], #16
	subs x10, x10, #1
	orr x13, x13, x9
	str x13, [x12], #8
	b.ne .LBB145_6
	cmp x3, #511
	add sp, sp, #64
	b.ls .LBB145_9
	ret
.LBB145_9:
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
	cbz x3, .LBB146_3
	ldr x9, [x1]
	mov x10, x8
	mov x11, x0
.LBB146_2:
	ldr x12, [x2], #16
	subs x10, x10, #1
	orr x12, x12, x9
	str x12, [x11], #8
	b.ne .LBB146_2
.LBB146_3:
	mov w9, #512
	sub x11, x9, x8
	add x9, x0, x8, lsl #3
	ands x10, x11, #0x3f8
	and x8, x11, #0x7
	b.eq .LBB146_6
	and x11, x11, #0x3f8
	mov x12, x9
	neg x11, x11
.LBB146_5:
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
	b.ne .LBB146_5
.LBB146_6:
	cbz x8, .LBB146_14
	add x9, x9, x10, lsl #3
	cmp x8, #1
	str xzr, [x9]
	b.eq .LBB146_14
	cmp x8, #2
	str xzr, [x9, #8]
	b.eq .LBB146_14
	cmp x8, #3
	str xzr, [x9, #16]
	b.eq .LBB146_14
	cmp x8, #4
	str xzr, [x9, #24]
	b.eq .LBB146_14
	cmp x8, #5
	str xzr, [x9, #32]
	b.eq .LBB146_14
	cmp x8, #6
	str xzr, [x9, #40]
	b.eq .LBB146_14
	str xzr, [x9, #48]
.LBB146_14:
	ret

golden_clear:
	and x8, x1, #0x1ff
	mov w9, #512
	sub x9, x9, x8
	cmp x9, x2
	csel x10, x9, x2, lo
	cbz x2, .LBB139_3
	add x9, x0, x8, lsl #3
	lsl x8, x10, #3
.LBB139_2:
	subs x8, x8, #8
	str xzr, [x9], #8
	b.ne .LBB139_2
.LBB139_3:
	ret

golden_is_zero:
	cmp x2, #1
	and x8, x1, #0x1ff
	b.ne .LBB144_2
	ldr x11, [x0, x8, lsl #3]
	cmp x11, #0
	cset w0, eq
	ret
.LBB144_2:
	mov w9, #512
	sub x9, x9, x8
	cmp x9, x2
	csel x9, x9, x2, lo
	cbz x2, .LBB144_5
	sub sp, sp, #32
	cmp x9, #4
	b.hs .LBB144_6
	mov x11, xzr
	mov x10, x8
	b .LBB144_9
.LBB144_5:
	mov x11, xzr
	cmp x11, #0
	cset w0, eq
	ret
.LBB144_6:
	movi v0.2d, #0000000000000000
	movi v1.2d, #0000000000000000
	add x12, x0, x8, lsl #3
	and x11, x9, #0x3fc
	and x13, x9, #0x3fc
	add x10, x8, x11
	add x12, x12, #16
.LBB144_7:
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
	b.ne .LBB144_7
	orr v0.16b, v1.16b, v0.16b
	cmp x9, x11
	ext v1.16b, v0.16b, v0.16b, #8
	orr v0.8b, v0.8b, v1.8b
	fmov x11, d0
	b.eq .LBB144_11
.LBB144_9:
	add x12, x0, x10, lsl #3
	add x8, x9, x8
	sub x8, x8, x10
.LBB144_10:
	ldr x9, [x12], #8
	subs x8, x8, #1
	orr x11, x9, x11
	b.ne .LBB144_10
.LBB144_11:
	add sp, sp, #32
	cmp x11, #0
	cset w0, eq
	ret

golden_translate:
	sub sp, sp, #112
	stp x30, x19, [sp, #96]
	ldp x8, x9, [x0, #144]
	str x1, [sp, #8]
	eor x8, x8, x1
	cmp x8, x9
	b.hi .LBB148_4
	add x8, sp, #8
	add x9, x0, #88
	ldrb w10, [x0, #175]
	stp x8, x9, [sp, #16]
	add x8, x0, #96
	add x9, sp, #36
	mov x19, x1
	stp x8, x9, [sp, #40]
	add x8, sp, #16
	add x0, sp, #64
	add x1, sp, #40
	strb w10, [sp, #36]
	str x8, [sp, #56]
	bl _ZN9iopgtable5table4tree17Tree$LT$F$C$S$GT$7leaf_at28_$u7b$$u7b$closure$u7d$$u7d$
	ldr x8, [sp, #64]
	cmp x8, #2
	b.eq .LBB148_4
	tbz w8, #0, .LBB148_4
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
.LBB148_4:
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
	b.ne .LBB140_12
	ldr x20, [x0, #112]
	mov x9, #-1
	ldrb w8, [x20, #178]
	neg w8, w8
	lsr x8, x9, x8
	cmp x2, x8
	b.hi .LBB140_12
	ldrb w8, [x20, #40]
	cmp w8, #3
	b.ne .LBB140_7
	ldur x8, [x20, #32]
	str x8, [sp, #8]
	ldur x8, [x20, #24]
	str x8, [sp]
	ldr q0, [sp]
	str q0, [sp, #16]
	ldp x9, x8, [sp, #16]
	stp x9, x8, [sp, #88]
	mov w9, #1
	str x9, [sp, #80]
	lsr x8, x1, #19
	ldr x9, [x20, #64]
	and x8, x8, #0x1ffffffffffc
	orr x8, x8, #0x1
	cmp x9, x8
	b.eq .LBB140_8
.LBB140_4:
	ldr x9, [x20, #80]
	cmp x9, x1, lsr #30
	b.ne .LBB140_9
	ldr x9, [x20, #56]
	ubfx x10, x1, #21, #9
	ldr x9, [x9, x10, lsl #3]
	mvn w10, w9
	tst x10, #0x3
	b.ne .LBB140_9
	ldr x10, [x20, #88]
	and x9, x9, #0xfffffffff000
	stp x8, x9, [x20, #64]
	ldr x11, [x10, #3080]
	ldr x10, [x10, #3072]
	sub x11, x9, x11
	adds x11, x10, x11
	csel x8, x10, x11, eq
	str x8, [x20, #48]
	mov w10, #511
	str x9, [sp, #120]
	stp x8, x10, [sp, #104]
	ldr w8, [sp, #80]
	tbnz w8, #0, .LBB140_10
	b .LBB140_12
.LBB140_7:
	ldrh w9, [x20, #184]
	add x8, sp, #80
	mov x19, x0
	add x0, x20, #24
	mov x21, x1
	mov x22, x2
	mov w1, w9
	mov w2, #3
	bl _ZN9iopgtable6format7Encoded6encode
	mov x0, x19
	mov x1, x21
	mov x2, x22
	lsr x8, x21, #19
	ldr x9, [x20, #64]
	and x8, x8, #0x1ffffffffffc
	orr x8, x8, #0x1
	cmp x9, x8
	b.ne .LBB140_4
.LBB140_8:
	ldr x8, [x20, #48]
	ldr x9, [x20, #72]
	mov w10, #511
	str x9, [sp, #120]
	stp x8, x10, [sp, #104]
	ldr w8, [sp, #80]
	tbnz w8, #0, .LBB140_10
	b .LBB140_12
.LBB140_9:
	mov x19, x1
	add x8, sp, #104
	mov x21, x0
	add x0, x20, #48
	add x1, x20, #96
	mov x22, x2
	add x2, x20, #88
	mov x3, x19
	bl _ZN9iopgtable5table6recent6Recent4walk
	mov x0, x21
	mov x1, x19
	mov x2, x22
	ldr w8, [sp, #80]
	tbz w8, #0, .LBB140_12
.LBB140_10:
	ldr x8, [sp, #104]
	cbz x8, .LBB140_12
	ldr x9, [sp, #112]
	ldr x10, [sp, #88]
	and x9, x9, x1, lsr #12
	ldr x11, [x8, x9, lsl #3]
	cbz x11, .LBB140_13
.LBB140_12:
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
.LBB140_13:
	orr x10, x10, x2
	str x10, [x8, x9, lsl #3]
	mov w8, #1
	strb w8, [x0, #120]
	mov w0, #1
	ldp x20, x19, [sp, #160]
	ldr x30, [sp, #128]
	ldp x22, x21, [sp, #144]
	add sp, sp, #176
	ret

golden_cursor_unmap:
	sub sp, sp, #80
	stp x30, x21, [sp, #48]
	stp x20, x19, [sp, #64]
	tst x1, #0xfff
	b.ne .LBB141_2
	ldr x19, [x0, #112]
	ldr x8, [x19, #104]
	cbz x8, .LBB141_3
.LBB141_2:
	mov x8, sp
	bl _ZN9iopgtable5table6cursor19Cursor$LT$F$C$A$GT$20unmap_page_elsewhere
	ldrb w8, [sp]
	cmp w8, #17
	cset w0, eq
	ldp x20, x19, [sp, #64]
	ldp x30, x21, [sp, #48]
	add sp, sp, #80
	ret
.LBB141_3:
	lsr x8, x1, #19
	ldr x10, [x19, #64]
	and x8, x8, #0x1ffffffffffc
	orr x9, x8, #0x1
	cmp x10, x9
	b.ne .LBB141_6
	ldur x8, [x19, #48]
	mov w9, #511
.LBB141_5:
	and x9, x9, x1, lsr #12
	orr x10, x1, #0xfff
	mov w12, #1
	str xzr, [x8, x9, lsl #3]
	ldp x8, x9, [x0, #8]
	ldr w11, [x0]
	strb w12, [x0, #120]
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
	ldp x30, x21, [sp, #48]
	add sp, sp, #80
	ret
.LBB141_6:
	ldr x8, [x19, #80]
	cmp x8, x1, lsr #30
	b.ne .LBB141_9
	ldr x8, [x19, #56]
	ubfx x10, x1, #21, #9
	ldr x8, [x8, x10, lsl #3]
	mvn w10, w8
	tst x10, #0x3
	b.ne .LBB141_9
	ldr x10, [x19, #88]
	and x12, x8, #0xfffffffff000
	ldr x11, [x10, #3080]
	ldr x8, [x10, #3072]
	stp x9, x12, [x19, #64]
	mov w9, #511
	sub x10, x12, x11
	adds x10, x8, x10
	csel x8, x8, x10, eq
	str x8, [x19, #48]
	b .LBB141_5
.LBB141_9:
	mov x20, x0
	mov x8, sp
	add x0, x19, #48
	mov x3, x1
	add x1, x19, #96
	add x2, x19, #88
	mov x21, x3
	bl _ZN9iopgtable5table6recent6Recent4walk
	ldr x8, [sp]
	cbz x8, .LBB141_11
	ldr x9, [x19, #104]
	cbz x9, .LBB141_12
.LBB141_11:
	mov x0, x20
	mov x1, x21
	b .LBB141_2
.LBB141_12:
	ldr x9, [sp, #8]
	mov x0, x20
	mov x1, x21
	b .LBB141_5

golden_map_call:
	sub sp, sp, #240
	stp x30, x23, [sp, #192]
	stp x22, x21, [sp, #208]
	stp x20, x19, [sp, #224]
	mov w5, #3
	mov x22, x4
	mov x23, x3
	mov x20, x2
	mov x21, x1
	mov x19, x0
	bl _ZN9iopgtable5table5short58_$LT$impl$u20$iopgtable..table..PageTable$LT$F$C$A$GT$$GT$8map_near
	tbnz w0, #0, .LBB147_2
	mov x0, x19
	mov x1, x21
	mov x2, x20
	mov x3, x23
	mov x4, x22
	mov w5, #3
	bl _ZN9iopgtable5table5short58_$LT$impl$u20$iopgtable..table..PageTable$LT$F$C$A$GT$$GT$7map_one
	cbz w0, .LBB147_6
.LBB147_2:
	ldr x8, [x19, #96]
	str xzr, [sp, #32]
	str xzr, [sp, #56]
	str xzr, [sp, #80]
	strh wzr, [sp, #104]
	stp xzr, xzr, [sp, #112]
	stp xzr, x8, [sp, #128]
.LBB147_3:
	ldp x8, x9, [sp, #112]
	stp x8, x9, [sp, #144]
	ldp x8, x10, [sp, #128]
	stp x8, x10, [sp]
	ldr q0, [sp]
	str q0, [sp, #16]
	ldp x10, x9, [sp, #16]
	stp x10, x9, [sp, #160]
	cbz x8, .LBB147_5
	add x1, sp, #144
	mov x0, x19
	bl _ZN9iopgtable5table7release58_$LT$impl$u20$iopgtable..table..PageTable$LT$F$C$A$GT$$GT$10free_loose
.LBB147_5:
	mov w0, #1
	ldp x20, x19, [sp, #224]
	ldp x22, x21, [sp, #208]
	ldp x30, x23, [sp, #192]
	add sp, sp, #240
	ret
.LBB147_6:
	add x8, sp, #144
	mov x0, x19
	mov x1, x21
	mov x2, x20
	mov x3, x23
	mov x4, x22
	mov w5, #3
	bl _ZN9iopgtable5table4path58_$LT$impl$u20$iopgtable..table..PageTable$LT$F$C$A$GT$$GT$9map_apart
	ldrb w8, [sp, #144]
	cmp w8, #17
	b.ne .LBB147_9
	ldrb w8, [sp, #145]
	tbnz w8, #0, .LBB147_2
	mov w8, #1
	add x3, sp, #144
	mov x0, x19
	stp x8, x23, [sp, #144]
	add x8, sp, #32
	mov x1, x21
	mov x2, x20
	mov w4, #3
	str x22, [sp, #160]
	bl _ZN9iopgtable5table22PageTable$LT$F$C$A$GT$7map_any
	ldr x8, [sp, #32]
	cmp x8, #2
	b.ne .LBB147_3
.LBB147_9:
	mov w0, wzr
	ldp x20, x19, [sp, #224]
	ldp x22, x21, [sp, #208]
	ldp x30, x23, [sp, #192]
	add sp, sp, #240
	ret

golden_unmap_call:
	sub sp, sp, #208
	stp x30, x21, [sp, #176]
	stp x20, x19, [sp, #192]
	mov x3, x1
	mov x4, x2
	mov x20, x2
	mov x21, x1
	mov x19, x0
	bl _ZN9iopgtable5table5short58_$LT$impl$u20$iopgtable..table..PageTable$LT$F$C$A$GT$$GT$10unmap_near
	tbnz w0, #0, .LBB149_2
	mov x0, x19
	mov x1, x21
	mov x2, x20
	mov x3, x21
	mov x4, x20
	bl _ZN9iopgtable5table5short58_$LT$impl$u20$iopgtable..table..PageTable$LT$F$C$A$GT$$GT$11unmap_short
	cbz w0, .LBB149_6
.LBB149_2:
	mov w8, #1
	stp x20, xzr, [sp, #48]
	stp x8, x21, [sp, #32]
	ldr x8, [x19, #96]
	str xzr, [sp, #80]
	strh wzr, [sp, #104]
	stp xzr, xzr, [sp, #112]
	stp xzr, x8, [sp, #128]
.LBB149_3:
	ldp x8, x9, [sp, #112]
	stp x8, x9, [sp, #144]
	ldp x8, x10, [sp, #128]
	stp x8, x10, [sp]
	ldr q0, [sp]
	str q0, [sp, #16]
	ldp x10, x9, [sp, #16]
	stp x10, x9, [sp, #160]
	cbz x8, .LBB149_5
	add x1, sp, #144
	mov x0, x19
	bl _ZN9iopgtable5table7release58_$LT$impl$u20$iopgtable..table..PageTable$LT$F$C$A$GT$$GT$10free_loose
.LBB149_5:
	mov w0, #1
	ldp x20, x19, [sp, #192]
	ldp x30, x21, [sp, #176]
	add sp, sp, #208
	ret
.LBB149_6:
	add x8, sp, #32
	mov x0, x19
	mov x1, x21
	mov x2, x20
	mov x3, x21
	mov x4, x20
	bl _ZN9iopgtable5table22PageTable$LT$F$C$A$GT$9unmap_any
	ldr x8, [sp, #32]
	cmp x8, #2
	b.ne .LBB149_3
	mov w0, wzr
	ldp x20, x19, [sp, #192]
	ldp x30, x21, [sp, #176]
	add sp, sp, #208
	ret

8map_near:
	sub x8, x2, x1
	cmp x8, #4095
	mov w8, wzr
	b.ne .LBB93_8
	orr w9, w3, w1
	and x9, x9, #0xfff
	orr x9, x9, x4
	cmp x9, #1, lsl #12
	b.ne .LBB93_8
	ldrb w8, [x0, #178]
	mov x9, #-1
	neg w8, w8
	lsr x8, x9, x8
	cmp x3, x8
	mov w8, wzr
	b.hi .LBB93_8
	ldrb w10, [x0, #40]
	and w9, w5, #0xff
	cmp w9, w10
	b.ne .LBB93_8
	cbz w9, .LBB93_12
	lsr x8, x1, #19
	ldr x10, [x0, #64]
	and x8, x8, #0x1ffffffffffc
	orr x9, x8, #0x1
	ldr x8, [x0, #24]
	cmp x10, x9
	b.ne .LBB93_9
	ldr x10, [x0, #48]
	ubfx x9, x1, #12, #9
	ldr x11, [x10, x9, lsl #3]
	cbnz x11, .LBB93_12
.LBB93_7:
	orr x8, x8, x3
	str x8, [x10, x9, lsl #3]
	mov w8, #1
.LBB93_8:
	mov w0, w8
	ret
.LBB93_9:
	ldr x10, [x0, #80]
	cmp x10, x1, lsr #30
	b.ne .LBB93_12
	ldr x10, [x0, #56]
	ubfx x11, x1, #21, #9
	ldr x10, [x10, x11, lsl #3]
	mvn w11, w10
	tst x11, #0x3
	b.ne .LBB93_12
	ldr x11, [x0, #88]
	and x13, x10, #0xfffffffff000
	stp x9, x13, [x0, #64]
	ldr x12, [x11, #3080]
	ldr x10, [x11, #3072]
	sub x11, x13, x12
	adds x11, x10, x11
	csel x10, x10, x11, eq
	str x10, [x0, #48]
	ubfx x9, x1, #12, #9
	ldr x11, [x10, x9, lsl #3]
	cbz x11, .LBB93_7
.LBB93_12:
	mov w0, wzr
	ret

10unmap_near:
	cmp x1, x3
	mov w8, wzr
	b.ne .LBB90_9
	cmp x2, x4
	b.ne .LBB90_9
	sub x8, x2, x1
	cmp x8, #4095
	mov w8, wzr
	b.hi .LBB90_9
	ldr x9, [x0, #104]
	cbnz x9, .LBB90_9
	add w8, w2, #1
	orr w8, w8, w1
	tst x8, #0xfff
	b.eq .LBB90_6
.LBB90_5:
	mov w0, wzr
	ret
.LBB90_6:
	lsr x8, x1, #19
	ldr x9, [x0, #64]
	and x8, x8, #0x1ffffffffffc
	orr x8, x8, #0x1
	cmp x9, x8
	b.ne .LBB90_10
	ldr x9, [x0, #48]
.LBB90_8:
	ubfx x8, x1, #12, #9
	str xzr, [x9, x8, lsl #3]
	mov w8, #1
.LBB90_9:
	mov w0, w8
	ret
.LBB90_10:
	ldr x9, [x0, #80]
	cmp x9, x1, lsr #30
	b.ne .LBB90_5
	ldr x9, [x0, #56]
	ubfx x10, x1, #21, #9
	ldr x9, [x9, x10, lsl #3]
	mvn w10, w9
	tst x10, #0x3
	b.ne .LBB90_5
	ldr x10, [x0, #88]
	and x12, x9, #0xfffffffff000
	stp x8, x12, [x0, #64]
	ldr x11, [x10, #3080]
	ldr x9, [x10, #3072]
	sub x10, x12, x11
	adds x10, x9, x10
	csel x9, x9, x10, eq
	str x9, [x0, #48]
	b .LBB90_8
