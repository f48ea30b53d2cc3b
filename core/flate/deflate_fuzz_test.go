package flate

import "testing"

// FuzzDeflate cuts data into messages as the plan says, and reads them back.
func FuzzDeflate(f *testing.F) {
	for i, data := range [][]byte{someJSON(someRand(), 600), someText(someRand(), 3000), someNoise(someRand(), 700), make([]byte, 2000), nil, {1}} {
		f.Add(data, uint8(i), uint8(i*3), []byte{200, 10, 0, 255, 31, 66})
	}
	f.Fuzz(func(t *testing.T, data []byte, bits, mode uint8, plan []byte) {
		b := MinBits + int(bits)%(MaxBits-MinBits+1)
		var ms Matchers
		ms.Init(1 + int(mode>>4&3))
		var d, other Deflater
		d.Init(b, Level(mode&3))
		other.Init(MinBits+int(mode>>6)*2, Default)
		p := newPeer(b)
		var dst []byte
		for i := 0; len(data) > 0; i++ {
			n, do := len(data), byte(0)
			if i < len(plan) {
				do = plan[i] & 7
				n = min(n, int(plan[i]>>3)<<(i%6))
			}
			m := data[:n]
			data = data[n:]
			switch do {
			case 1:
				d.Forget()
				p.forget()
			case 2, 3:
				other.Append(&ms, nil, m)
			case 4:
				dst = d.AppendOnce(&ms, dst[:0], m)
				p.forget()
				p.read(t, dst, m)
				p.forget()
				continue
			}
			dst = d.Append(&ms, dst[:0], m)
			if len(m) <= cap(p.dst) {
				p.read(t, dst, m)
			} else {
				p.rfc.feed(t, dst, m)
				return
			}
			checkGrowth(t, len(m), len(dst))
			if d.Memory() > 1<<b {
				t.Fatalf("history of %d", d.Memory())
			}
		}
	})
}
