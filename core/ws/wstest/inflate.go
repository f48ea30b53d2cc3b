package wstest

import (
	"errors"
	"fmt"
)

// inflater decodes DEFLATE (RFC 1951) plainly, bit by bit, and knows no mercy: a
// distance of one more than the window is an error, and so is data that does not
// end where a message may end. It is what the testee's frames are held against.
type inflater struct {
	bits     int // the window is 1<<bits bytes
	takeover bool
	out      []byte // what was decoded: the history, then this message
	in       []byte
	at       int // next bit of in
	far      int // the largest distance seen
}

// maxOutput ends a testee's bomb.
const maxOutput = 64 << 20

var errInput = errors.New("the data ends inside a block")

// message inflates one message (RFC 7692 7.2.2).
func (z *inflater) message(p []byte) ([]byte, error) {
	if !z.takeover {
		z.out = nil
	}
	if n := len(z.out) - 1<<z.bits; n > 0 {
		z.out = append([]byte(nil), z.out[n:]...)
	}
	from := len(z.out)
	z.in, z.at = append(append([]byte(nil), p...), 0, 0, 0xff, 0xff), 0
	for z.at < len(z.in)*8 {
		final, err := z.block()
		if err != nil {
			return nil, err
		}
		if final {
			z.at = (z.at + 7) &^ 7
		}
	}
	return append([]byte(nil), z.out[from:]...), nil
}

// peek is the next 24 bits, zeros behind the end.
func (z *inflater) peek() (v uint) {
	for i := range 4 {
		if k := z.at>>3 + i; k < len(z.in) {
			v |= uint(z.in[k]) << (8 * i)
		}
	}
	return v >> (z.at & 7)
}

// number reads up to 16 bits.
func (z *inflater) number(n int) (v int, err error) {
	v = int(z.peek() & (1<<n - 1))
	if z.at += n; z.at > len(z.in)*8 {
		return 0, errInput
	}
	return v, nil
}

func (z *inflater) block() (final bool, err error) {
	head, err := z.number(3)
	if err != nil {
		return false, err
	}
	final = head&1 != 0
	switch head >> 1 {
	case 0:
		return final, z.stored()
	case 1:
		return final, z.codes(&fixedLit, &fixedDist)
	case 2:
		lit, dist, err := z.dynamic()
		if err != nil {
			return final, err
		}
		return final, z.codes(lit, dist)
	}
	return final, errors.New("reserved block type")
}

func (z *inflater) stored() error {
	z.at = (z.at + 7) &^ 7
	n, err := z.number(16)
	if err != nil {
		return err
	}
	m, err := z.number(16)
	if err != nil {
		return err
	}
	if n != m^0xffff {
		return errors.New("stored block with a wrong length")
	}
	if z.at/8+n > len(z.in) {
		return errInput
	}
	z.out = append(z.out, z.in[z.at/8:z.at/8+n]...)
	z.at += n * 8
	return nil
}

// huffman is a canonical code: how many codes each length has, and the symbols in
// order.
type huffman struct {
	count   [16]int
	symbols []int
}

func newHuffman(lengths []int) (*huffman, error) {
	h := &huffman{}
	for _, n := range lengths {
		h.count[n]++
	}
	h.count[0] = 0
	left := 1
	for n := 1; n < 16; n++ {
		left = left*2 - h.count[n]
		if left < 0 {
			return nil, errors.New("too many codes")
		}
		for s, l := range lengths {
			if l == n {
				h.symbols = append(h.symbols, s)
			}
		}
	}
	if left > 0 && len(h.symbols) > 1 {
		return nil, errors.New("incomplete codes")
	}
	return h, nil
}

func (z *inflater) symbol(h *huffman) (int, error) {
	code, first, index := 0, 0, 0
	have := z.peek()
	for n := 1; n < 16; n++ {
		if z.at++; z.at > len(z.in)*8 {
			return 0, errInput
		}
		code |= int(have & 1)
		have >>= 1
		if k := code - first; k < h.count[n] {
			return h.symbols[index+k], nil
		}
		index += h.count[n]
		first = (first + h.count[n]) << 1
		code <<= 1
	}
	return 0, errors.New("no such code")
}

// codeOrder is the order in which the lengths of the code length codes come (RFC
// 1951 3.2.7).
var codeOrder = [19]int{16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15}

func (z *inflater) dynamic() (lit, dist *huffman, err error) {
	head, err := z.number(14)
	if err != nil {
		return nil, nil, err
	}
	nlit, ndist, ncode := head&31+257, head>>5&31+1, head>>10+4
	if nlit > 286 || ndist > 30 {
		return nil, nil, errors.New("too many symbols")
	}
	first := make([]int, 19)
	for i := range ncode {
		if first[codeOrder[i]], err = z.number(3); err != nil {
			return nil, nil, err
		}
	}
	h, err := newHuffman(first)
	if err != nil {
		return nil, nil, err
	}
	lengths, err := z.lengths(h, nlit+ndist)
	if err != nil {
		return nil, nil, err
	}
	if lit, err = newHuffman(lengths[:nlit]); err != nil {
		return nil, nil, err
	}
	dist, err = newHuffman(lengths[nlit:])
	return lit, dist, err
}

// lengths reads n code lengths, with their repetitions.
func (z *inflater) lengths(h *huffman, n int) ([]int, error) {
	var all []int
	for len(all) < n {
		s, err := z.symbol(h)
		if err != nil {
			return nil, err
		}
		if s < 16 {
			all = append(all, s)
			continue
		}
		more := [3][2]int{{2, 3}, {3, 3}, {7, 11}}[s-16] // bits, least
		k, err := z.number(more[0])
		if err != nil {
			return nil, err
		}
		v := 0
		if s == 16 {
			if len(all) == 0 {
				return nil, errors.New("repetition of nothing")
			}
			v = all[len(all)-1]
		}
		for range k + more[1] {
			all = append(all, v)
		}
	}
	if len(all) > n {
		return nil, errors.New("too many lengths")
	}
	return all, nil
}

// The lengths and distances of RFC 1951 3.2.5, by their codes.
var (
	lenBase, lenBits   [29]int
	distBase, distBits [30]int
	fixedLit           huffman
	fixedDist          huffman
)

func init() {
	n := 3
	for c := range 28 {
		lenBits[c] = max(0, c/4-1)
		lenBase[c] = n
		n += 1 << lenBits[c]
	}
	lenBase[28] = 258
	n = 1
	for c := range 30 {
		distBits[c] = max(0, c/2-1)
		distBase[c] = n
		n += 1 << distBits[c]
	}
	l := make([]int, 288)
	for s := range l {
		switch {
		case s < 144, s >= 280:
			l[s] = 8
		case s < 256:
			l[s] = 9
		default:
			l[s] = 7
		}
	}
	l2 := make([]int, 30)
	for s := range l2 {
		l2[s] = 5
	}
	h, _ := newHuffman(l)
	fixedLit = *h
	h, _ = newHuffman(append(l2, 5, 5))
	fixedDist = *h
}

func (z *inflater) codes(lit, dist *huffman) error {
	for {
		s, err := z.symbol(lit)
		switch {
		case err != nil:
			return err
		case s < 256:
			z.out = append(z.out, byte(s))
			continue
		case s == 256:
			return nil
		case s > 285:
			return errors.New("length code without a meaning")
		}
		if err := z.match(s-257, dist); err != nil {
			return err
		}
		if len(z.out) > maxOutput {
			return errors.New("too much output")
		}
	}
}

func (z *inflater) match(c int, dist *huffman) error {
	more, err := z.number(lenBits[c])
	if err != nil {
		return err
	}
	n := lenBase[c] + more
	d, err := z.symbol(dist)
	if err != nil {
		return err
	}
	if d >= len(distBase) {
		return errors.New("distance code without a meaning")
	}
	if more, err = z.number(distBits[d]); err != nil {
		return err
	}
	back := distBase[d] + more
	if back > 1<<z.bits || back > len(z.out) {
		return fmt.Errorf("distance %d, the window is %d, the history %d", back, 1<<z.bits, len(z.out))
	}
	z.far = max(z.far, back)
	for range n {
		z.out = append(z.out, z.out[len(z.out)-back])
	}
	return nil
}
