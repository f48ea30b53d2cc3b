package flate

// packedLengths are the code lengths of a block at 4 bits each, for the time that
// a stream is suspended inside it and its codes may be lost.
type packedLengths [(maxLit + maxDist + 1) / 2]uint8

// claim makes t hold this block's codes, whoever's it held.
func (z *Inflater) claim(t *Tables) {
	t.serial++
	z.tables, z.serial = t, t.serial
}

// keep packs the code lengths read since the last time.
func (z *Inflater) keep(t *Tables) {
	for i := z.packed &^ 1; i < z.read; i += 2 {
		v := t.lengths[i]
		if i+1 < z.read {
			v |= t.lengths[i+1] << 4
		}
		z.lengths[i/2] = v
	}
	z.packed = z.read
}

// restore makes the codes again, if t does not hold them any more. They were
// possible before.
func (z *Inflater) restore(t *Tables) {
	if z.tables == t && z.serial == t.serial {
		return
	}
	z.claim(t)
	for i := range z.read {
		t.lengths[i] = z.lengths[i/2] >> (4 * (i & 1)) & 15
	}
	if z.state == stLengths {
		t.buildClens(z.clens)
	} else {
		t.build(z.nlit, z.ndist)
	}
}
