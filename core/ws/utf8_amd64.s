#include "textflag.h"

// How it works: John Keiser and Daniel Lemire, "Validating UTF-8 In Less Than One
// Instruction Per Byte", 2021. Every error but one shows in three half bytes: the
// two of a byte and the high one of the next. A table for each half byte has
// the set of the errors that it admits; what all three admit is there:
//
//	0x01  a lead byte, and no continuation byte behind it
//	0x02  ASCII, and a continuation byte behind it
//	0x04  E0 80..9F, too long a form
//	0x08  F4 90..BF, F5..FF 90..BF: beyond 10FFFF
//	0x10  ED A0..BF, a surrogate
//	0x20  C0, C1, too long a form
//	0x40  F0 80..8F, too long a form, and F5..FF 80..8F
//	0x80  two continuation bytes, which must be so two bytes behind E0..FF and
//	      three behind F0..FF and nowhere else

DATA first_high<>+0(SB)/8, $0x0202020202020202
DATA first_high<>+8(SB)/8, $0x4915012180808080
GLOBL first_high<>(SB), RODATA|NOPTR, $16

DATA first_low<>+0(SB)/8, $0xcbcbcb8b8383a3e7
DATA first_low<>+8(SB)/8, $0xcbcbdbcbcbcbcbcb
GLOBL first_low<>(SB), RODATA|NOPTR, $16

DATA second_high<>+0(SB)/8, $0x0101010101010101
DATA second_high<>+8(SB)/8, $0x01010101babaaee6
GLOBL second_high<>(SB), RODATA|NOPTR, $16

// What the last bytes may be at most: a lead byte there is cut off.
DATA last<>+0(SB)/8, $-1
DATA last<>+8(SB)/8, $-1
DATA last<>+16(SB)/8, $-1
DATA last<>+24(SB)/8, $0xbfdfefffffffffff
GLOBL last<>(SB), RODATA|NOPTR, $32

DATA bytes<>+0(SB)/4, $0x8070600f
GLOBL bytes<>(SB), RODATA|NOPTR, $4

// CHECK adds the errors of the bytes in Y0 to Y6; Y1, Y2 and Y3 have the bytes
// one, two and three before each.
#define CHECK \
	VPSRLW   $4, Y1, Y4   \
	VPAND    Y15, Y4, Y4  \
	VPSHUFB  Y4, Y12, Y4  \
	VPAND    Y15, Y1, Y1  \
	VPSHUFB  Y1, Y11, Y1  \
	VPSRLW   $4, Y0, Y5   \
	VPAND    Y15, Y5, Y5  \
	VPSHUFB  Y5, Y10, Y5  \
	VPAND    Y4, Y1, Y1   \
	VPAND    Y5, Y1, Y1   \
	VPSUBUSB Y9, Y2, Y2   \ // 0x80 and more from E0 on
	VPSUBUSB Y8, Y3, Y3   \ // 0x80 and more from F0 on
	VPOR     Y2, Y3, Y3   \
	VPAND    Y7, Y3, Y3   \
	VPXOR    Y3, Y1, Y1   \
	VPOR     Y1, Y6, Y6

#define LOAD(at) \
	VMOVDQU at(SI), Y0    \
	VMOVDQU -1+at(SI), Y1 \
	VMOVDQU -2+at(SI), Y2 \
	VMOVDQU -3+at(SI), Y3

// func validAVX2(p *byte, n int) bool
TEXT ·validAVX2(SB), NOSPLIT, $0-17
	MOVQ p+0(FP), SI
	MOVQ n+8(FP), DX
	ADDQ SI, DX              // the end
	VBROADCASTI128 first_high<>(SB), Y12
	VBROADCASTI128 first_low<>(SB), Y11
	VBROADCASTI128 second_high<>(SB), Y10
	VPBROADCASTB bytes<>+0(SB), Y15 // 0F
	VPBROADCASTB bytes<>+1(SB), Y9  // 60
	VPBROADCASTB bytes<>+2(SB), Y8  // 70
	VPBROADCASTB bytes<>+3(SB), Y7  // 80
	VPXOR Y6, Y6, Y6

	// Before the first bytes there are zeros.
	VMOVDQU (SI), Y0
	VPERM2I128 $0x08, Y0, Y0, Y3
	VPALIGNR $15, Y3, Y0, Y1
	VPALIGNR $14, Y3, Y0, Y2
	VPALIGNR $13, Y3, Y0, Y3
	CHECK
	ADDQ $32, SI

	LEAQ -128(DX), R8        // the last place for 128 bytes
	JMP  enough128
	PCALIGN $32
next128:
	VMOVDQU -3(SI), Y0
	VPOR (SI), Y0, Y0
	VPOR 32(SI), Y0, Y0
	VPOR 64(SI), Y0, Y0
	VPOR 96(SI), Y0, Y0
	VPTEST Y7, Y0
	JZ   ascii
	LOAD(0)
	CHECK
	LOAD(32)
	CHECK
	LOAD(64)
	CHECK
	LOAD(96)
	CHECK
ascii:
	ADDQ $128, SI
enough128:
	CMPQ SI, R8
	JBE  next128

	ADDQ $96, R8             // the last place for 32 bytes
	JMP  enough32
next32:
	LOAD(0)
	CHECK
	ADDQ $32, SI
enough32:
	CMPQ SI, R8
	JBE  next32

	MOVQ R8, SI              // the last 32 bytes, some for the second time
	LOAD(0)
	VPSUBUSB last<>(SB), Y0, Y5
	VPOR Y5, Y6, Y6
	CHECK
	VPTEST Y6, Y6
	SETEQ ret+16(FP)
	VZEROUPPER
	RET
