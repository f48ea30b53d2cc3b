#include "textflag.h"

// func maskAVX2(b *byte, n int, k uint32) (ascii bool)
//
// The first and the last 32 bytes are masked aside before the loops and stored
// after them, so that between them whole aligned words are enough: the loops may
// end before the last bytes, and what is stored twice is stored alike. Y7 gathers
// all that is stored: the processor waits for the stores anyway.
TEXT ·maskAVX2(SB), NOSPLIT, $0-25
	MOVQ b+0(FP), DI
	MOVQ n+8(FP), CX
	MOVL k+16(FP), AX
	LEAQ (DI)(CX*1), SI      // the end

	VMOVD AX, X0
	VPBROADCASTD X0, Y0
	VPXOR (DI), Y0, Y4       // the first 32 bytes

	MOVL AX, BX
	SHLL $3, CX              // rotated by n bytes; RORL looks at five bits
	RORL CX, BX
	VMOVD BX, X0
	VPBROADCASTD X0, Y0
	VPXOR -32(SI), Y0, Y5    // the last 32 bytes
	VPOR Y4, Y5, Y7

	LEAQ 32(DI), DX          // the first multiple of 32 behind DI
	ANDQ $~31, DX
	MOVL DX, CX
	SUBL DI, CX
	SHLL $3, CX
	RORL CX, AX
	VMOVD AX, X0
	VPBROADCASTD X0, Y0

	LEAQ -128(SI), R8        // the last place for 128 bytes
	JMP  enough128
	PCALIGN $32
next128:
	VPXOR (DX), Y0, Y1
	VPXOR 32(DX), Y0, Y2
	VPXOR 64(DX), Y0, Y3
	VPXOR 96(DX), Y0, Y6
	VPOR Y1, Y2, Y8
	VPOR Y3, Y6, Y9
	VPOR Y8, Y7, Y7
	VPOR Y9, Y7, Y7
	VMOVDQU Y1, (DX)
	VMOVDQU Y2, 32(DX)
	VMOVDQU Y3, 64(DX)
	VMOVDQU Y6, 96(DX)
	ADDQ $128, DX
enough128:
	CMPQ DX, R8
	JBE  next128

	ADDQ $96, R8             // the last place for 32 bytes
	JMP  enough32
next32:
	VPXOR (DX), Y0, Y1
	VPOR Y1, Y7, Y7
	VMOVDQU Y1, (DX)
	ADDQ $32, DX
enough32:
	CMPQ DX, R8
	JBE  next32

	VMOVDQU Y4, (DI)
	VMOVDQU Y5, -32(SI)
	VPMOVMSKB Y7, AX         // the high bits
	TESTL AX, AX
	SETEQ ascii+24(FP)
	VZEROUPPER
	RET

// func hasAVX2() bool
TEXT ·hasAVX2(SB), NOSPLIT, $0-1
	MOVB $0, ret+0(FP)
	XORL AX, AX
	CPUID
	CMPL AX, $7              // is there a leaf 7?
	JB   no
	MOVL $1, AX
	XORL CX, CX
	CPUID
	ANDL $0x18000000, CX     // OSXSAVE and AVX
	CMPL CX, $0x18000000
	JNE  no
	XORL CX, CX
	XGETBV
	ANDL $6, AX              // the system saves XMM and YMM
	CMPL AX, $6
	JNE  no
	MOVL $7, AX
	XORL CX, CX
	CPUID
	BTL  $5, BX              // AVX2
	JCC  no
	MOVB $1, ret+0(FP)
no:
	RET
